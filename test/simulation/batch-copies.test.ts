// Clients that repeat a batch or a submit while the first is in flight, and batches that have tasks in common.
import type { BatchReply, Client } from "@ergon/core";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

interface Task {
  readonly driver: string;
  readonly id: string;
  readonly text: string;
}

const tasksOf = (from: number, to: number): Task[] =>
  Array.from({ length: to - from }, (_, index) => ({
    driver: "work",
    id: `t-${from + index}`,
    text: String(from + index),
  }));

/** What a client gets: the ids of the reply, or the code of the error. */
async function outcomeOf(batch: Promise<BatchReply>): Promise<string> {
  try {
    return (await batch).tasks.map(({ id }) => id).join(" ");
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const idsOf = (tasks: readonly Task[]): string => tasks.map(({ id }) => id).join(" ");

/** Counts how often each record is written. */
function countWrites(cluster: MemoryCluster): { records: Map<string, number> } {
  const records = new Map<string, number>();
  cluster.onCommit = (_, writes) => {
    for (const { id } of writes) records.set(id, (records.get(id) ?? 0) + 1);
  };
  return { records };
}

describe("copies of a batch", () => {
  test("copies of a batch that come while it is stored are answered with it, and each of its tasks is written once (M-7)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2", "n3");
    const written = countWrites(cluster);
    const before = cluster.writes.others;
    const tasks = tasksOf(0, 200).map((task) => ({ ...task, delay: "1h" }));
    const sent = Array.from({ length: 8 }, () => outcomeOf(cluster.client().batch({ tasks, correlationId: "c" })));

    expect(new Set(await cluster.drive(Promise.all(sent)))).toEqual(new Set([idsOf(tasks)]));
    expect([...new Set(written.records.values())]).toEqual([1]);
    expect(cluster.writes.others - before).toBe(1);
  });

  test("copies of a batch without ids are batches of their own", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    const { bus } = cluster.connect("stranger");
    const body = Buffer.from(JSON.stringify({ tasks: [{ driver: "work" }, { driver: "work" }] }));
    const ask = (): Promise<unknown> => bus.request(cluster.names.batch, body, { timeoutMs: 5_000 });
    await cluster.drive(Promise.all([ask(), ask(), ask()]));

    expect(await cluster.stored()).toHaveLength(6);
  });
});

/** A cluster in which storing a batch takes seconds: a node that has some of its shards stands still for so long. */
async function slowCluster(seed: number): Promise<{ cluster: MemoryCluster; clients: Client[] }> {
  const cluster = createMemoryCluster({ seed });
  const nodes = await cluster.addNodes("n1", "n2", "n3");
  const clients = Array.from({ length: 4 }, () => cluster.client());
  nodes[seed % 3]?.pause();
  cluster.clock.after(3_000, () => nodes[seed % 3]?.resume());
  return { cluster, clients };
}

describe("batches that have tasks in common", () => {
  test.for([1, 2, 3, 4, 5, 6])(
    "batches that have tasks in common are all stored, one after the other, however long each takes (seed %i)",
    async (seed) => {
      const { cluster, clients } = await slowCluster(seed);
      const batches = [tasksOf(0, 100), tasksOf(50, 150), tasksOf(100, 200), [...tasksOf(0, 30), ...tasksOf(170, 200)]];
      const sent = batches.map((tasks, index) => outcomeOf(clients[index]?.batch({ tasks }) ?? Promise.reject()));

      expect(await cluster.drive(Promise.all(sent))).toEqual(batches.map(idsOf));
      expect(await cluster.stored()).toHaveLength(200);
    },
  );

  test.for([1, 2, 3])(
    "one of two batches that disagree on a common task is stored, and the other is refused with the fault (seed %i)",
    async (seed) => {
      const { cluster, clients } = await slowCluster(seed);
      const one = tasksOf(0, 100);
      const other = tasksOf(60, 160).map((task) => (task.id === "t-77" ? { ...task, text: "another" } : task));
      const sent = [one, other].map((tasks, index) => outcomeOf(clients[index]?.batch({ tasks }) ?? Promise.reject()));

      const outcomes = await cluster.drive(Promise.all(sent));
      await cluster.clock.advance(30_000);
      const stored = (await cluster.stored()).map(({ id }) => id);

      expect(outcomes.toSorted()).toContain("BATCH_REJECTED");
      const winner = outcomes[0] === "BATCH_REJECTED" ? other : one;
      expect(outcomes).toContain(idsOf(winner));
      expect(stored.toSorted()).toEqual(winner.map(({ id }) => id).toSorted());
    },
  );

  test("batches that have tasks in common ask each node only once about a batch that gives way", async () => {
    const { cluster, clients } = await slowCluster(2);
    const before = cluster.writes.others;
    const sent = [tasksOf(0, 200), tasksOf(0, 199)].map((tasks, index) =>
      outcomeOf(clients[index]?.batch({ tasks }) ?? Promise.reject()),
    );
    await cluster.drive(Promise.all(sent));

    // Each batch writes its decision once a try, and each of the three nodes asks once about a batch that gives way.
    expect(cluster.writes.others - before).toBeLessThan(12);
  });
});

describe("clients that repeat what is in flight", () => {
  test.for([1, 2, 3, 4, 5, 6, 7, 8])(
    "clients that repeat requests in flight while nodes die and messages are lost are all answered, and every answered task has run (seed %i)",
    async (seed) => {
      const cluster = createMemoryCluster({ seed, shards: 16, faults: { drop: 0.002 } });
      const nodes = await cluster.addNodes("n1", "n2", "n3");
      const runs = new Map<string, Set<number>>();
      await cluster.addAgent("a1", {
        concurrency: 50,
        handler: ({ taskId, number }) => {
          runs.set(taskId, (runs.get(taskId) ?? new Set()).add(number));
        },
      });
      const outcomes: Promise<string>[] = [];
      for (let step = 0; step < 12; step++) {
        const from = Math.floor(cluster.random() * 150);
        const tasks = tasksOf(from, from + 50);
        const copies = 1 + Math.floor(cluster.random() * 3);
        for (let copy = 0; copy < copies; copy++) {
          const client = cluster.client({ timeoutMs: 120_000 });
          outcomes.push(outcomeOf(client.batch({ tasks, correlationId: `c-${step}` })));
          const single = tasks[copy] as Task;
          outcomes.push(client.submit(single).then(({ id }) => id));
          await cluster.clock.advance(cluster.random() * 3);
        }
        if (step === 6) nodes[seed % 3]?.kill();
        await cluster.clock.advance(cluster.random() * 20);
      }

      const answers = await cluster.drive(Promise.all(outcomes));
      await cluster.clock.advance(60_000);
      const stored = await cluster.stored();

      expect(answers.filter((answer) => !answer.startsWith("t-"))).toEqual([]);
      expect(new Set(stored.map(({ status }) => status))).toEqual(new Set(["succeeded"]));
      expect(new Set(stored.map(({ id }) => id))).toEqual(new Set(answers.flatMap((answer) => answer.split(" "))));
      expect(stored.filter(({ id, task }) => !(runs.get(id)?.has(task.attempt) ?? false))).toEqual([]);
    },
  );
});
