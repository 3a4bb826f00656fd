import { env } from "node:process";

import { DAY, SECOND, defineMachine, driver, machine, plan, type Machine } from "@ergon/core";
import { seededRandom } from "@ergon/core/testing";
import { describe, expect, test } from "vitest";
import { assign, enqueueActions, setup } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";
import { undoable } from "../support/plan-stage.ts";

const CHILDREN = 60;
const RETENTION_MS = 1_000;

/** One seed: `ERGON_SEED=7`. Neither: those that are always run. */
const seeds = env["ERGON_SEED"] === undefined ? [2, 3] : [Number(env["ERGON_SEED"])];

/** Ends by itself as soon as its task has ended, and is kept for a moment. */
const brief = setup({ actors: { work: driver("work") } }).createMachine({
  id: "brief",
  initial: "working",
  states: {
    working: { invoke: { src: "work", input: "x", onDone: "done", onError: "done" } },
    done: { type: "final" },
  },
});

/** Waits for the ends of its children. */
function parentOf(kind: "tasks" | "machines"): Machine {
  const actors = {
    tasks: driver("work", { standalone: true, task: { retention: `${RETENTION_MS}ms`, maxLost: 1_000 } }),
    machines: machine("brief", { retentionMs: RETENTION_MS }),
  };
  const heard = assign<{ ends: number }, never, undefined, never, never>({ ends: ({ context }) => context.ends + 1 });
  const logic = setup({ types: {} as { context: { ends: number } }, actors: actors as never }).createMachine({
    id: "parent",
    context: { ends: 0 },
    initial: "waiting",
    states: {
      waiting: {
        entry: enqueueActions(({ enqueue }) => {
          for (let index = 0; index < CHILDREN; index++)
            enqueue.spawnChild(kind as never, { id: `child-${index}`, input: "x" } as never);
        }) as never,
        on: { "xstate.done.actor.*": { actions: heard as never }, "xstate.error.actor.*": { actions: heard as never } },
        always: { guard: ({ context }) => context.ends >= CHILDREN, target: "done" },
      },
      done: { type: "final" },
    },
    output: ({ context }) => context.ends,
  });
  return defineMachine(logic);
}

/** Kills every node, lets the outage last, and starts new nodes. */
async function outage(cluster: MemoryCluster, ms: number, name: string): Promise<void> {
  for (const node of cluster.nodes) if (!node.gone) node.kill();
  await cluster.clock.advance(ms);
  await cluster.addNodes(`${name}-1`, `${name}-2`);
}

describe("an outage of all nodes that is longer than the retention of what has ended", () => {
  test.for(seeds.flatMap((seed) => [["tasks", seed] as const, ["machines", seed] as const]))(
    "a parent hears of every one of its %s, seed %i",
    async ([kind, seed]) => {
      const chance = seededRandom(seed * 7_919);
      const cluster = createMemoryCluster({ seed, machines: [parentOf(kind), defineMachine(brief)] });
      await cluster.addNodes("n1", "n2");
      await cluster.addAgent("a1", { concurrency: 20, handler: (attempt) => attempt.sleep(200 * chance()) });
      const client = cluster.client({ timeoutMs: 600_000 });
      const parent = await cluster.drive(client.start("parent", undefined, { id: "p" }));
      for (let round = 1; round <= 3; round++) {
        await cluster.clock.advance(20 + 300 * chance());
        await outage(cluster, 5_000 + 60_000 * chance(), `round-${round}`);
      }

      expect(await cluster.drive(parent.output())).toBe(CHILDREN);
      // Their retention has begun once they were heard of.
      await cluster.clock.advance(RETENTION_MS + 2_000);
      const left = await cluster.stored();
      expect(left.filter(({ id }) => id.startsWith("p_"))).toEqual([]);
    },
  );

  test("a part of a plan that waits whether to be undone hears that its plan has ended", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    await cluster.addAgent("a1", { handler: () => "done" });
    const client = cluster.client();
    const inner = plan([undoable("a")]);
    // The nodes die at the commit with which the plan ends.
    const ended = new Promise<void>((resolve) => {
      cluster.onCommit = (_, writes) => {
        if (writes.some(({ id, ttlMs, data }) => id === "p" && (ttlMs !== undefined || saysClose(data)))) resolve();
      };
    });
    await cluster.drive(client.plan(plan([{ id: "inner", plan: inner }]), { id: "p", retention: "1s" }));
    await cluster.drive(ended);
    await cluster.clock.advance(0.2);
    await outage(cluster, 30_000, "later");

    await cluster.clock.advance(SECOND);
    expect(await cluster.drive(client.instance("p_1").get())).toMatchObject({ status: "succeeded" });
  });
});

test("an outage that is longer than a batch's decision is kept leaves the admitted tasks to their total bound", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNodes("n1", "n2");
  const client = cluster.client({ timeoutMs: 600_000 });
  const request = { driver: "nobody", text: "x", totalTimeout: "1m" };
  const { tasks } = await cluster.drive(client.batch({ tasks: [request, request, request] }));
  await outage(cluster, 2 * DAY, "later");

  for (const { id } of tasks)
    expect(await cluster.drive(client.wait(id))).toMatchObject({ failure: { code: "TOTAL_TIMEOUT" } });
});

function saysClose(data: Uint8Array): boolean {
  return Buffer.from(data).includes("ergon.plan.close");
}
