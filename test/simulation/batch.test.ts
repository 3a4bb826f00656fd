import { type BatchReply, type ErgonError } from "@ergon/core";
import { decodeError } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const tasksOf = (count: number, more: object = {}): { driver: string; id: string; text: string }[] =>
  Array.from({ length: count }, (_, index) => ({ driver: "work", id: `t-${index}`, text: String(index), ...more }));

/** What a client gets: the reply, or the code of the error. */
async function outcomeOf(cluster: MemoryCluster, batch: Promise<BatchReply>): Promise<BatchReply | string> {
  return cluster.drive(batch.catch((error: { code: string }) => error.code));
}

/** The error of a batch that is refused. */
async function errorOf(cluster: MemoryCluster, batch: Promise<BatchReply>): Promise<ErgonError> {
  return cluster.drive(
    batch.then(
      () => expect.fail("the batch is stored"),
      (error: unknown) => error as ErgonError,
    ),
  );
}

describe("a batch", () => {
  test("a batch is answered in its order, under one correlation id; the next has another (B-1, B-2)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2", "n3");
    const client = cluster.client();
    const tasks = Array.from({ length: 30 }, (_, index) => ({
      driver: `driver-${index % 3}`,
      resource: `urn:${index}`,
    }));

    const first = await cluster.drive(client.batch({ tasks }));
    const second = await cluster.drive(client.batch({ tasks }));

    expect(first.tasks.map(({ driver, resource }) => ({ driver, resource }))).toEqual(tasks);
    expect(new Set(first.tasks.map(({ id }) => id)).size).toBe(30);
    expect(first.tasks.every(({ status, scheduledAt }) => status === "scheduled" && scheduledAt.endsWith("Z"))).toBe(
      true,
    );
    expect(second.correlationId).not.toBe(first.correlationId);
    const stored = await cluster.stored();
    expect(stored.filter(({ task }) => task.correlationId === first.correlationId)).toHaveLength(30);
  });

  test("a batch with faults in several tasks is refused with all of them, and nothing is stored (B-4, B-5, B-44)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    const tasks = [{ driver: "work" }, { driver: "no name" }, { driver: "work", priority: 10 }];

    const error = (await cluster.drive(
      cluster
        .client()
        .batch({ tasks })
        .catch((cause: unknown) => cause),
    )) as { code: string; issues: { field: string }[] };

    expect(error.code).toBe("BATCH_REJECTED");
    expect(error.issues.map(({ field }) => field)).toEqual(["tasks[1].driver", "tasks[2].priority"]);
    expect(await cluster.stored()).toEqual([]);
  });

  test("a batch that requires agents is refused as a whole when none announces a driver, and the error names it (B-4)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    await cluster.addAgent("a1");
    const client = cluster.client();
    const tasks = [{ driver: "work" }, { driver: "unknown" }, { driver: "work" }];

    const error = await errorOf(cluster, client.batch({ tasks, requireAgents: true }));

    expect(error).toMatchObject({ code: "BATCH_REJECTED", kind: "invalid" });
    expect(error.message).toContain("driver unknown not found");
    expect(error.issues.map(({ field, code }) => [field, code])).toEqual([["tasks[1].driver", "INVALID_DRIVER"]]);
    expect(await cluster.stored()).toEqual([]);
    // Without that, the task waits for an agent.
    expect((await cluster.drive(client.batch({ tasks }))).tasks).toHaveLength(3);
  });

  test("a batch that requires agents is refused with every driver that none announces (B-5)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    await cluster.addAgent("a1");
    const tasks = [{ driver: "first" }, { driver: "second" }, { driver: "work" }, { driver: "first" }];

    const error = await errorOf(cluster, cluster.client().batch({ tasks, requireAgents: true }));

    expect(error.issues.map(({ field }) => field)).toEqual(["tasks[0].driver", "tasks[1].driver", "tasks[3].driver"]);
    expect(error.issues.map(({ message }) => message).join("\n")).toMatch(
      /driver first not found[^]*driver second not/,
    );
    expect(await cluster.stored()).toEqual([]);
  });

  test("a batch that requires agents is not refused by a node that has just started and has not heard them yet", async () => {
    const cluster = createMemoryCluster();
    await cluster.addAgent("a1", { distanceMs: 200 });
    await cluster.addNode("n1");
    await cluster.waitForOwners();
    const client = cluster.client();
    const batch = client.batch({ tasks: tasksOf(3), requireAgents: true });

    expect((await cluster.drive(batch)).tasks).toHaveLength(3);
  });

  test.for<[fault: string, tasks: readonly object[], field: string, range: string]>([
    ["no task", [], "tasks", "1 to 10000 tasks"],
    ["10,001 tasks", Array.from({ length: 10_001 }, () => ({ driver: "work" })), "tasks", "1 to 10000 tasks"],
    ["a task without a driver", [{ driver: "work" }, { text: "x" }], "tasks[1].driver", "1 to 64 letters"],
    ["a resource that is too long", [{ driver: "work", resource: "x".repeat(2_049) }], "tasks[0].resource", "2048"],
    [
      "65 arguments",
      [{ driver: "work", arguments: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`a${n}`, "x"])) }],
      "tasks[0].arguments",
      "64",
    ],
  ])("a batch of %s is refused by the name and the range of the field, and nothing is stored (B-44)", async (fault) => {
    const [, tasks, field, range] = fault;
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const { bus } = cluster.connect("stranger");
    const body = Buffer.from(JSON.stringify({ tasks }));

    const refusal = decodeError(await cluster.drive(bus.request(cluster.names.batch, body, { timeoutMs: 10_000 })));

    expect(refusal).toMatchObject({ code: "BATCH_REJECTED", kind: "invalid" });
    expect(refusal?.issues).toEqual([expect.objectContaining({ field, message: expect.stringContaining(range) })]);
    expect(await cluster.stored()).toEqual([]);
  });

  test("a batch without a task is refused (B-6)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    await expect(cluster.drive(cluster.client().batch({ tasks: [] }))).rejects.toMatchObject({
      code: "BATCH_REJECTED",
      kind: "invalid",
    });
  });

  test("a batch is refused as a whole when another task has one of its ids, and that task stays as it is (B-4)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    const client = cluster.client();
    await cluster.drive(client.submit({ driver: "work", id: "t-3", text: "another" }));

    expect(await outcomeOf(cluster, client.batch({ tasks: tasksOf(10) }))).toBe("BATCH_REJECTED");

    await cluster.clock.advance(30_000);
    expect((await cluster.stored()).map(({ id, live }) => [id, live])).toEqual([["t-3", true]]);
  });

  test("a batch that is sent twice is stored once (M-7)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    const client = cluster.client();
    const batch = { tasks: tasksOf(10), correlationId: "c" };
    const [first, second] = await cluster.drive(Promise.all([client.batch(batch), client.batch(batch)]));
    expect(second.tasks.map(({ id }) => id)).toEqual(first.tasks.map(({ id }) => id));
    expect(await cluster.stored()).toHaveLength(10);
  });

  test("a batch is held back from agents until it is decided: none runs of one that is refused (B-4)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    let runs = 0;
    await cluster.addAgent("a1", { handler: () => ++runs });
    const client = cluster.client();
    await cluster.drive(client.submit({ driver: "nobody", id: "t-19", text: "another" }));

    expect(await outcomeOf(cluster, client.batch({ tasks: tasksOf(20) }))).toBe("BATCH_REJECTED");

    await cluster.clock.advance(30_000);
    expect(runs).toBe(0);
  });
});

describe("a batch whose coordinator dies, or a node that owns some of its tasks,", () => {
  // From before the first record is stored to after the last is released; at each of them another node dies.
  const moments = Array.from({ length: 24 }, (_, index) => ({ moment: index * 0.35, victim: index % 3 }));
  /** In parts, so that a busy machine gets through each. */
  const parts = [moments.slice(0, 8), moments.slice(8, 16), moments.slice(16)];

  test.for(parts.map((part, index) => ({ part, name: index + 1 })))(
    "a batch whose coordinator or owner dies at any moment exists as a whole or not at all, and each of its tasks runs once (B-4, M-2, I-7), part $name",
    async ({ part }) => {
      const outcomes: string[] = [];
      for (const { moment, victim } of part) {
        const cluster = createMemoryCluster({ seed: 1 + Math.round(moment * 100) });
        const nodes = await cluster.addNodes("n1", "n2", "n3");
        const runs: string[] = [];
        await cluster.addAgent("a1", { handler: (attempt) => void runs.push(attempt.taskId) });
        // A client that gives up at once: what it would send again is not part of this.
        const client = cluster.client({ timeoutMs: 1 });
        const submitted = client.batch({ tasks: tasksOf(30) }).catch(() => undefined);
        await cluster.clock.advance(moment);

        nodes[victim]?.kill();
        await cluster.drive(submitted);
        await cluster.clock.advance(40_000);

        const stored = await cluster.stored();
        outcomes.push(`${stored.length} ${new Set(stored.map(({ status }) => status)).size} ${runs.length}`);
      }
      expect(outcomes.filter((outcome) => outcome !== "0 0 0" && outcome !== "30 1 30")).toEqual([]);
    },
  );

  test.for(parts.map((part, index) => ({ part, name: index + 1 })))(
    "a batch whose coordinator or owner dies and that its client sends again exists as a whole, and answered results stay (B-4, M-7, I-7), part $name",
    async ({ part }) => {
      for (const { moment, victim } of part) {
        const cluster = createMemoryCluster({ seed: 1 + Math.round(moment * 100) });
        const nodes = await cluster.addNodes("n1", "n2", "n3");
        await cluster.addAgent("a1");
        const client = cluster.client({ timeoutMs: 120_000 });
        const submitted = client.batch({ tasks: tasksOf(30) });
        submitted.catch(() => undefined);
        await cluster.clock.advance(moment);

        nodes[victim]?.kill();
        const reply = await outcomeOf(cluster, submitted);
        await cluster.clock.advance(60_000);

        const stored = await cluster.stored();
        expect(typeof reply === "string" ? reply : reply.tasks.length).toBe(30);
        expect([stored.length, ...new Set(stored.map(({ status }) => status))]).toEqual([30, "succeeded"]);
      }
    },
  );

  test.for(parts.map((part, index) => ({ part, name: index + 1 })))(
    "a batch whose coordinator or owner dies while a single submit asks for one of its ids keeps what was answered (I-7), part $name",
    async ({ part }) => {
      for (const { moment, victim } of part) {
        const cluster = createMemoryCluster({ seed: 1 + Math.round(moment * 100) });
        const nodes = await cluster.addNodes("n1", "n2", "n3");
        const abandoned = cluster.client({ timeoutMs: 1 }).batch({ tasks: tasksOf(30) });
        abandoned.catch(() => undefined);
        await cluster.clock.advance(moment);
        nodes[victim]?.kill();

        const client = cluster.client({ timeoutMs: 120_000 });
        const handle = await cluster.drive(client.submit({ driver: "work", id: "t-7", text: "7" }));
        await cluster.clock.advance(60_000);

        expect((await cluster.drive(client.get(handle.id))).status).toBe("scheduled");
      }
    },
  );
});
