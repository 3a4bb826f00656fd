import path from "node:path";

import { describe, expect, test as base } from "vitest";

import { startCluster, type Cluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { uniqueNamespace } from "../support/nats-fixtures.ts";
import { startTestServer } from "../support/nats-server.ts";
import { nodesOf } from "./point-fixtures.ts";

const test = base.extend<{ cluster: Cluster }>({
  cluster: async ({}, use) => {
    const server = await startTestServer();
    const cluster = await startCluster({ url: server.url, namespace: uniqueNamespace() });
    await use(cluster);
    await cluster.stop();
    await server.stop();
  },
});

/** Submits one task after the other until told to stop; answers how many ended. */
function load(cluster: Cluster, name: string, lanes: number): () => Promise<number> {
  let stopped = false;
  let count = 0;
  const running = Array.from({ length: lanes }, async () => {
    while (!stopped) await cluster.run({ id: `${name}-${++count}`, arguments: { ms: "2" } });
  });
  return async () => {
    stopped = true;
    await Promise.all(running);
    return count;
  };
}

test("three nodes are restarted one by one under load: no submit fails, every task ends once (M-4, B-34, B-50)", async ({
  cluster,
}) => {
  await Promise.all([cluster.startNode(), cluster.startNode(), cluster.startNode(), cluster.startAgent()]);
  await cluster.waitForShards(nodesOf(cluster));
  const stopLoad = load(cluster, "rolling", 8);

  for (const node of nodesOf(cluster)) {
    expect(await node.stop()).toBe(0);
    await cluster.startNode();
    await cluster.waitForShards(nodesOf(cluster));
  }
  const count = await stopLoad();

  expect(cluster.ended).toHaveLength(count);
  cluster.ledger.check(cluster.ended);
  // A graceful stop repeats no work.
  expect(cluster.ledger.entries).toHaveLength(count);
});

test("an agent that is stopped hands back what it cannot finish, and takes nothing new (M-4, B-34)", async ({
  cluster,
}) => {
  await cluster.startNode();
  const agent = await cluster.startAgent({ settings: { drainMs: 100 } });
  const long = cluster.run({ id: "long", arguments: { ms: "1500" } });
  await eventually("the task at work", () => cluster.ledger.of("long").length === 1);

  const ended = agent.stop();
  await eventually("its end", () => cluster.ledger.of("long").some(({ event }) => event === "stopped"));
  await cluster.startAgent();
  await long;

  expect(await ended).toBe(0);
  expect(await cluster.client.get("long")).toMatchObject({ status: "succeeded", failures: 0, lost: 0 });
  cluster.ledger.check(cluster.ended);
});

describe("clocks an hour apart (M-12)", () => {
  test("clocks an hour apart move no timer, order, lease or owner", async ({ cluster }) => {
    const ahead = path.join(import.meta.dirname, "../support/processes/clock-ahead.ts");
    const late = await cluster.startNode({ imports: [ahead] });
    await cluster.startAgent({ imports: [ahead] });
    await cluster.waitForShards([late]);
    // Stored by the node that is ahead, carried on by one that is not.
    const startedAt = Date.now();
    const delayed = cluster.run({ id: "delayed", delay: 1_500 });
    await eventually("the task", async () => (await cluster.client.get("delayed")).status === "scheduled");
    const right = await cluster.startNode();
    await cluster.waitForShards([late, right]);
    await Promise.all(Array.from({ length: 20 }, (_, index) => cluster.run({ id: `now-${index}` })));
    await late.kill();
    await delayed;

    const task = await cluster.client.get("delayed");
    const took = Date.parse(task.startedAt ?? "") - startedAt;
    expect(took).toBeGreaterThanOrEqual(1_400);
    expect(took).toBeLessThan(20_000);
    expect(Math.abs(Date.parse(task.scheduledAt) - startedAt)).toBeLessThan(10_000);
    expect(task.history.map(({ at }) => at)).toEqual(task.history.map(({ at }) => at).toSorted());
    cluster.ledger.check(cluster.ended);
  });
});
