import { shardOf } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const SHARDS = 8;

/** An id in a shard of the node. */
async function idsOf(cluster: MemoryCluster, node: string, prefix: string, count: number): Promise<string[]> {
  const { shards } = await cluster.drive(cluster.client().shards());
  const ids: string[] = [];
  for (let n = 0; ids.length < count; n++) {
    const id = `${prefix}${n}`;
    if (shards[shardOf(id, SHARDS)]?.node === node) ids.push(id);
  }
  return ids;
}

describe("a handler that goes on past its attempt's deadline", () => {
  test.each([1, 20])(
    "a handler that continues past its attempt's deadline holds its slot, and %i tasks wait for that without an attempt",
    async (count) => {
      const cluster = createMemoryCluster({ shards: SHARDS });
      await cluster.addNodes("n1");
      let calls = 0;
      await cluster.addAgent("a1", {
        driver: "deaf",
        concurrency: 1,
        handler: async () => {
          calls++;
          await new Promise((resolve) => void cluster.clock.after(10_000, () => resolve(1)));
          return calls;
        },
      });
      const client = cluster.client({ timeoutMs: 60_000 });
      const options = { driver: "deaf", attemptTimeout: "2s", retry: { initial: 0, maxAttempts: 3 } } as const;
      const ids = Array.from({ length: count }, (_, n) => `t${n}`);
      await cluster.drive(Promise.all(ids.map((id) => client.submit({ ...options, id }))));

      await cluster.clock.advance(9_000);
      const views = await cluster.drive(Promise.all(ids.map((id) => client.get(id))));
      expect(calls).toBe(1);
      expect(views.reduce((sum, { attempt }) => sum + attempt, 0)).toBeLessThanOrEqual(2);

      await cluster.clock.advance(3_000);
      expect(calls).toBe(2);
    },
  );
});

interface Load {
  readonly cluster: MemoryCluster;
  /** Ids in the order in which their handlers began. */
  readonly started: string[];
}

/** Nodes, and one agent whose handlers take 20 ms. */
async function overloaded(nodes: readonly string[], concurrency: number): Promise<Load> {
  const cluster = createMemoryCluster({ shards: SHARDS });
  await cluster.addNodes(...nodes);
  const started: string[] = [];
  await cluster.addAgent("a1", {
    concurrency,
    handler: async ({ taskId }) => {
      started.push(taskId);
      await new Promise((resolve) => void cluster.clock.after(20, () => resolve(1)));
      return 1;
    },
  });
  return { cluster, started };
}

/** Submits tasks to a node's own shards; their ids begin with the prefix. */
async function submitTo({ cluster }: Load, node: string, prefix: string, count: number, priority = 5): Promise<void> {
  const client = cluster.client({ timeoutMs: 60_000 });
  const ids = await idsOf(cluster, node, prefix, count);
  await cluster.drive(Promise.all(ids.map((id) => client.submit({ id, driver: "work", priority }))));
}

/** How many starts of others lie between two starts of each prefix, at most. */
function longestWaits(started: readonly string[], prefixes: readonly string[]): number[] {
  return prefixes.map((prefix) => {
    const at = started.flatMap((id, index) => (id.startsWith(prefix) ? [index] : []));
    return Math.max(at[0] ?? Infinity, ...at.slice(1).map((index, n) => index - (at[n] ?? 0) - 1));
  });
}

describe("nodes whose tasks wait for too few slots", () => {
  test("nodes whose tasks wait for too few slots take turns at the one slot of an agent", async () => {
    const load = await overloaded(["n1", "n2"], 1);
    await submitTo(load, "n1", "a", 100);
    await submitTo(load, "n2", "b", 100);
    await load.cluster.clock.advance(3_000);

    expect(load.started.length).toBeGreaterThan(100);
    // The first tasks of the first node were alone.
    expect(longestWaits(load.started.slice(20), ["a", "b"])).toEqual([1, 1]);
  });

  test("nodes whose tasks wait for too few slots take turns where there are more nodes than slots", async () => {
    const load = await overloaded(["n1", "n2", "n3"], 2);
    for (const [node, prefix] of [
      ["n1", "a"],
      ["n2", "b"],
      ["n3", "c"],
    ] as const)
      await submitTo(load, node, prefix, 80);
    await load.cluster.clock.advance(2_000);

    expect(load.started.length).toBeGreaterThan(150);
    expect(Math.max(...longestWaits(load.started.slice(40, 200), ["a", "b", "c"]))).toBeLessThanOrEqual(4);
  });

  test("nodes whose tasks wait for too few slots give every slot to the node with the highest priority, whoever holds it", async () => {
    const load = await overloaded(["n1", "n2"], 4);
    await submitTo(load, "n1", "low", 100);
    await load.cluster.clock.advance(200);
    const before = load.started.length;
    await submitTo(load, "n2", "high", 40, 9);
    await load.cluster.clock.advance(2_000);

    const after = load.started.slice(before);
    const last = after.findLastIndex((id) => id.startsWith("high"));
    // What had a slot when they came goes on; nothing else goes before them.
    expect(after.slice(0, last).filter((id) => id.startsWith("low")).length).toBeLessThanOrEqual(8);
  });

  test("nodes whose tasks wait for too few slots get what is idle at one agent while another has no slot", async () => {
    const load = await overloaded(["n1", "n2"], 1);
    const { cluster } = load;
    const running: string[] = [];
    for (const id of ["a2", "a3"])
      await cluster.addAgent(id, {
        driver: "slow",
        concurrency: 1,
        handler: async ({ taskId }) => {
          running.push(taskId);
          await new Promise((resolve) => void cluster.clock.after(600_000, () => resolve(1)));
        },
      });
    const client = cluster.client({ timeoutMs: 60_000 });
    const ids = [...(await idsOf(cluster, "n1", "x", 1)), ...(await idsOf(cluster, "n2", "y", 1))];
    for (const id of ids) {
      await cluster.drive(client.submit({ id, driver: "slow", attemptTimeout: "1h" }));
      await cluster.clock.advance(3_000);
    }

    expect(running).toEqual(ids);
  });
});

test("a task that waits for the node's own limit is told so, though the agents are idle", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNode("n1", { drivers: { work: { limit: 1 } } });
  await cluster.addAgent("a1", { concurrency: 50, handler: (attempt) => attempt.sleep(10_000) });
  const client = cluster.client();
  const ids = ["first", "second"];
  for (const id of ids) await cluster.drive(client.submit({ driver: "work", id }));

  const waiting = await cluster.drive(client.get("second"));
  const ends = await cluster.drive(Promise.all(ids.map((id) => client.wait(id))));

  expect([waiting.status, waiting.reason]).toEqual([
    "scheduled",
    "waiting for an attempt to end: this node's limit for driver work is reached",
  ]);
  expect(ends.map(({ status }) => status)).toEqual(["succeeded", "succeeded"]);
});

test("a task that got no attempt in time because of the node's own limit fails with that cause", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNode("n1", { drivers: { work: { limit: 1 } } });
  await cluster.addAgent("a1", { concurrency: 50, handler: (attempt) => attempt.sleep(10_000) });
  const client = cluster.client();
  await cluster.drive(client.submit({ driver: "work" }));

  const { id } = await cluster.drive(client.submit({ driver: "work", queueTimeout: "5s" }));

  expect((await cluster.drive(client.wait(id))).failure).toMatchObject({
    code: "QUEUE_TIMEOUT",
    message: "waited 5000 ms for an agent: this node's limit for driver work was reached",
  });
});
