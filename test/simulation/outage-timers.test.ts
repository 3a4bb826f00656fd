import { env } from "node:process";

import { SECOND, defineMachine, driver, machine, type TaskRequest, type TaskView } from "@ergon/core";
import { seededRandom } from "@ergon/core/testing";
import { describe, expect, test } from "vitest";
import { setup } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

/** One seed: `ERGON_SEED=7`. Neither: those that are always run. */
const seeds = env["ERGON_SEED"] === undefined ? [1, 2, 3, 4] : [Number(env["ERGON_SEED"])];

type Request = Omit<TaskRequest, "driver">;

/** Two nodes, and an agent whose attempts last as many milliseconds as their payload says. */
async function stage(options: Parameters<typeof createMemoryCluster>[0] = {}): Promise<{
  cluster: MemoryCluster;
  runs: string[];
  submit: (ms: number, request?: Request) => Promise<() => Promise<TaskView>>;
}> {
  const cluster = createMemoryCluster(options);
  const runs: string[] = [];
  await cluster.addNodes("n1", "n2");
  await cluster.addAgent("a1", {
    concurrency: 100,
    handler: async (attempt) => {
      runs.push(attempt.taskId);
      const end = attempt.json<number>();
      for (let at = 0; at < end; at += 500) {
        await attempt.sleep(Math.min(500, end - at));
        attempt.heartbeat();
      }
      return "done";
    },
  });
  const client = cluster.client({ timeoutMs: 600_000 });
  const submit = async (ms: number, request: Request = {}): Promise<() => Promise<TaskView>> => {
    const asked = { driver: "work", payload: ms, retry: { maxAttempts: 1 }, ...request };
    const { id } = await cluster.drive(client.submit(asked as TaskRequest));
    return () => cluster.drive(client.wait(id));
  };
  return { cluster, runs, submit };
}

async function killAll(cluster: MemoryCluster, ms: number, name = "later"): Promise<void> {
  for (const node of cluster.nodes) if (!node.gone) node.kill();
  await cluster.clock.advance(ms);
  await cluster.addNodes(`${name}-1`, `${name}-2`);
}

async function cutOff(cluster: MemoryCluster, ms: number): Promise<void> {
  for (const node of cluster.nodes) node.disconnect();
  await cluster.clock.advance(ms);
  for (const node of cluster.nodes) node.reconnect();
}

async function standStill(cluster: MemoryCluster, ms: number): Promise<void> {
  for (const node of cluster.nodes) node.pause();
  await cluster.clock.advance(ms);
  for (const node of cluster.nodes) node.resume();
}

async function freeze(cluster: MemoryCluster, ms: number): Promise<void> {
  cluster.network.freeze();
  await cluster.clock.advance(ms);
  cluster.network.thaw();
}

const outages = [
  ["all nodes are away", killAll],
  ["all nodes are cut off", cutOff],
  ["all nodes stand still", standStill],
  ["the server stands still", freeze],
] as const;

describe("work that ends in time while no node can hear of it", () => {
  test.for(seeds)("is recorded as done by its only run, whatever its bounds, seed %i", async (seed) => {
    const chance = seededRandom(seed * 7_919);
    const { cluster, runs, submit } = await stage({ seed, shards: 12 });
    const bounds: Request[] = [{ heartbeatTimeout: "2s" }, { totalTimeout: "26s" }, { maxLost: 0 }, {}];
    const ends = [];
    for (let index = 0; index < 40; index++) {
      const ms = 5_000 + 15_000 * chance();
      ends.push(await submit(ms, { attemptTimeout: "21s", ...bounds[index % bounds.length] }));
    }
    await cluster.clock.advance(4_000 * chance());
    const outageMs = 15_000 + 30_000 * chance();
    await outages[seed % outages.length]?.[1](cluster, outageMs);

    for (const end of ends) expect(await end()).toMatchObject({ status: "succeeded", attempt: 1 });
    expect(runs).toHaveLength(40);
  });

  test.each(outages)("is recorded as done while %s for a moment", async (_, outage) => {
    const { cluster, runs, submit } = await stage();
    const ends = [];
    for (let index = 0; index < 20; index++)
      ends.push(await submit(2_000, { attemptTimeout: "4s", heartbeatTimeout: "2s", maxLost: 0 }));
    await cluster.clock.advance(500);
    await outage(cluster, 4_500);

    for (const end of ends) expect(await end()).toMatchObject({ status: "succeeded", attempt: 1 });
    expect(runs).toHaveLength(20);
  });

  test.each(outages)("does not lead to the timeout of the state that invoked it while %s", async (_, outage) => {
    const order = setup({ actors: { work: driver<number>("work") } }).createMachine({
      id: "order",
      initial: "working",
      states: {
        working: {
          invoke: { src: "work", input: 20_000, onDone: "done", onError: "broken" },
          after: { 25_000: "late" },
        },
        done: { type: "final" },
        broken: { type: "final" },
        late: { type: "final" },
      },
    });
    const above = setup({ actors: { order: machine("order") } }).createMachine({
      id: "above",
      initial: "waiting",
      states: {
        waiting: { invoke: { src: "order", onDone: "done", onError: "broken" }, after: { 26_000: "late" } },
        done: { type: "final" },
        broken: { type: "final" },
        late: { type: "final" },
      },
    });
    const { cluster } = await stage({ machines: [defineMachine(order), defineMachine(above)] });
    const client = cluster.client({ timeoutMs: 600_000 });
    const one = await cluster.drive(client.start("above", undefined, { id: "above-1" }));
    await cluster.clock.advance(2_000);
    await outage(cluster, 32_000);

    expect(await cluster.drive(one.wait())).toMatchObject({ state: "done" });
  });
});

describe("a bound that passes while no node is there", () => {
  test("a bound that passes while no node runs lets a waiting task have the running agents", async () => {
    const { cluster, submit } = await stage();
    const end = await submit(100, { driver: "later", queueTimeout: "10s" } as Request);
    await cluster.clock.advance(SECOND);
    await cluster.addAgent("a2", { driver: "later", handler: () => "done" });
    for (const node of cluster.nodes) node.kill();
    await cluster.clock.advance(20_000);
    await cluster.addNodes("later-1");

    expect(await end()).toMatchObject({ status: "succeeded" });
  });

  test("a bound that passes while no node runs ends a waiting task at its total bound, without another attempt", async () => {
    const { cluster, runs, submit } = await stage();
    const end = await submit(100, { delay: "5s", totalTimeout: "10s" });
    await cluster.clock.advance(SECOND);
    await killAll(cluster, 20_000);

    expect(await end()).toMatchObject({ status: "failed", failure: { code: "TOTAL_TIMEOUT" } });
    expect(runs).toEqual([]);
  });

  test("a total bound that passes while no node runs begins no other attempt for a late answer that fails", async () => {
    const cluster = createMemoryCluster();
    let runs = 0;
    await cluster.addNodes("n1");
    await cluster.addAgent("a1", {
      handler: async (attempt) => {
        runs++;
        await attempt.sleep(8_000);
        throw new Error("broken");
      },
    });
    const client = cluster.client({ timeoutMs: 600_000 });
    const { id } = await cluster.drive(client.submit({ driver: "work", totalTimeout: "10s" }));
    await cluster.clock.advance(SECOND);
    await killAll(cluster, 20_000);

    expect(await cluster.drive(client.wait(id))).toMatchObject({ status: "failed", failure: { message: "broken" } });
    expect(runs).toBe(1);
  });

  test("a deadline that passes while no node runs ends an attempt whose answer does not come, and an attempt that begins afterwards has its own", async () => {
    const { cluster, runs, submit } = await stage();
    const end = await submit(60_000, { attemptTimeout: "5s", retry: { maxAttempts: 2, initial: "1ms" } });
    await cluster.clock.advance(SECOND);
    for (const agent of cluster.agents) agent.vanish();
    await killAll(cluster, 3_000);
    await cluster.addAgent("a2", {
      handler: async (attempt) => {
        runs.push("again");
        await attempt.sleep(60_000);
      },
    });
    const begin = cluster.clock.now();

    expect(await end()).toMatchObject({ status: "failed", failure: { code: "ATTEMPT_TIMEOUT" } });
    expect(runs.slice(1).every((run) => run === "again")).toBe(true);
    expect(cluster.clock.now() - begin).toBeLessThan(10_000 + 2 * 5_000 + 2_000);
  });
});
