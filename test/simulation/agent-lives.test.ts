import { SECOND, type TaskView } from "@ergon/core";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const ids = ["t0", "t1", "t2", "t3"];

async function submitAll(cluster: MemoryCluster): Promise<void> {
  const client = cluster.client();
  await cluster.drive(Promise.all(ids.map((id) => client.submit({ driver: "work", id, attemptTimeout: "20m" }))));
}

function endsOf(cluster: MemoryCluster): Promise<TaskView[]> {
  const client = cluster.client();
  return cluster.drive(Promise.all(ids.map((id) => client.wait(id))));
}

/** Says presence as anybody could. */
function say(cluster: MemoryCluster, presence: { readonly agent: string; readonly [field: string]: unknown }): void {
  const body = { drivers: [{ name: "work", concurrency: 10 }], state: "here", running: 0, ...presence };
  cluster.connect("herald").bus.publish(cluster.names.presence, Buffer.from(JSON.stringify(body)));
}

describe("an agent that is started again under its own id", () => {
  test("an agent that is started again under its own id before it is missed loses its attempts at once, at no cost of retries (M-2)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    const first = await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(600_000) });
    await submitAll(cluster);
    await cluster.clock.advance(1_000);
    const begin = cluster.clock.monotonic();

    first.kill();
    await cluster.addAgent("a1", { handler: () => "again" });
    const ends = await endsOf(cluster);

    expect(ends.map(({ status, attempt, lost, failures }) => [status, attempt, lost, failures])).toEqual(
      ids.map(() => ["succeeded", 2, 1, 0]),
    );
    expect(ends[0]?.history.find(({ status }) => status === "retrying")?.reason).toBe("agent a1 was started again");
    expect(cluster.clock.monotonic() - begin).toBeLessThan(2 * SECOND);
  });

  test("an agent that is started again under its own id keeps what it has begun since, whatever is still heard of its former life", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    say(cluster, { agent: "a1", incarnation: "former" });
    await cluster.clock.advance(10);
    await cluster.addAgent("a1", { handler: async (attempt) => (await attempt.sleep(5_000), "done") });
    await submitAll(cluster);
    await cluster.clock.advance(1_000);

    say(cluster, { agent: "a1", incarnation: "former", state: "draining" });
    await cluster.clock.advance(500);
    say(cluster, { agent: "a1", incarnation: "former", state: "gone" });
    say(cluster, { agent: "a1", incarnation: "one before", state: "gone" });
    const ends = await endsOf(cluster);

    expect(ends.map(({ status, attempt, lost }) => [status, attempt, lost])).toEqual(
      ids.map(() => ["succeeded", 1, 0]),
    );
  });

  test("an agent that is started again under its own id may still answer for its former life, as long as the attempt is the current one", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    await cluster.addNodes("n1");
    say(cluster, { agent: "s1", incarnation: "first" });
    const stranger = cluster.connect("stranger");
    stranger.bus.subscribe(cluster.names.control("s1"), ({ reply = "" }) =>
      stranger.bus.publish(reply, Buffer.from('{"granted":4}')),
    );
    const replies: string[] = [];
    stranger.bus.subscribe(cluster.names.agent("work", "s1"), ({ reply = "" }) => replies.push(reply));
    await submitAll(cluster);
    await cluster.clock.advance(100);
    say(cluster, { agent: "s1", incarnation: "second" });
    await cluster.clock.advance(100);

    const second = replies.filter((reply) => reply.endsWith(".2"));
    for (const reply of second) stranger.bus.publish(reply, Buffer.from("by the first"));
    const ends = await endsOf(cluster);

    expect(second).toHaveLength(ids.length);
    expect(ends.map(({ response }) => response)).toMatchObject(ids.map(() => ({ text: "by the first" })));
  });
});

describe("an attempt in an SDK agent", () => {
  test("an attempt in an SDK agent runs once under its number, also when the agent was started again and then the node died before it knew", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    const [first] = await cluster.addNodes("n1");
    const runs: string[] = [];
    const handler = async (attempt: { taskId: string; number: number; sleep: (ms: number) => Promise<void> }) => {
      runs.push(`${attempt.taskId}.${attempt.number}`);
      await attempt.sleep(5_000);
    };
    const agent = await cluster.addAgent("a1", { handler });
    await submitAll(cluster);
    await cluster.clock.advance(1_000);

    // The node hears nothing more before it dies.
    first?.pause();
    agent.kill();
    await cluster.addAgent("a1", { handler });
    first?.kill();
    await cluster.addNodes("n2");
    const ends = await endsOf(cluster);

    expect(ends.map(({ status, failures }) => [status, failures])).toEqual(ids.map(() => ["succeeded", 0]));
    expect(runs.toSorted()).toEqual(ids.flatMap((id) => [`${id}.1`, `${id}.2`]).toSorted());
  });

  test("an attempt in an SDK agent is not lost because the server stood still for 10 s", async () => {
    const cluster = createMemoryCluster({ sessionTtlMs: 60_000 });
    await cluster.addNodes("n1");
    await cluster.addAgent("a1", { handler: async (attempt) => (await attempt.sleep(15_000), "done") });
    await submitAll(cluster);
    await cluster.clock.advance(1_000);

    cluster.network.freeze();
    await cluster.clock.advance(10_000);
    cluster.network.thaw();
    const ends = await endsOf(cluster);

    expect(ends.map(({ status, attempt, lost }) => [status, attempt, lost])).toEqual(
      ids.map(() => ["succeeded", 1, 0]),
    );
  });

  test("an attempt in an SDK agent is not lost because its node was held up for 10 s", async () => {
    const cluster = createMemoryCluster({ sessionTtlMs: 60_000 });
    const [node] = await cluster.addNodes("n1");
    await cluster.addAgent("a1", { handler: async (attempt) => (await attempt.sleep(15_000), "done") });
    await submitAll(cluster);
    await cluster.clock.advance(1_000);

    node?.pause();
    await cluster.clock.advance(10_000);
    node?.resume();
    const ends = await endsOf(cluster);

    expect(ends.map(({ status, attempt, lost }) => [status, attempt, lost])).toEqual(
      ids.map(() => ["succeeded", 1, 0]),
    );
  });

  test.each([100, 700, 1_500])(
    "an attempt in an SDK agent is not lost because its agent came back %i ms after the nodes",
    async (ms) => {
      const cluster = createMemoryCluster();
      const nodes = await cluster.addNodes("n1", "n2");
      const agent = await cluster.addAgent("a1", {
        handler: async (attempt) => (await attempt.sleep(5_000), "done"),
      });
      await submitAll(cluster);
      await cluster.clock.advance(1_000);

      // The server is started again.
      for (const member of [...nodes, agent]) member.disconnect();
      await cluster.clock.advance(500);
      for (const node of nodes) node.reconnect();
      await cluster.clock.advance(ms);
      agent.reconnect();
      const ends = await endsOf(cluster);

      expect(ends.map(({ status, attempt, lost }) => [status, attempt, lost])).toEqual(
        ids.map(() => ["succeeded", 1, 0]),
      );
    },
  );
});

test("an agent that was out of reach for so long that its attempts were lost stops them as soon as it is back", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNodes("n1");
  const stopped: unknown[] = [];
  const first = await cluster.addAgent("a1", {
    handler: async (attempt) => {
      attempt.signal.addEventListener("abort", () =>
        stopped.push((attempt.signal.reason as { reason: string }).reason),
      );
      await attempt.sleep(60_000);
    },
  });
  await submitAll(cluster);
  await cluster.clock.advance(1_000);
  first.disconnect();
  await cluster.addAgent("a2", { handler: () => "elsewhere" });

  const ends = await endsOf(cluster);
  first.reconnect();
  await cluster.clock.advance(100);

  expect(ends.map(({ attempt, agent }) => [attempt, agent])).toEqual(ids.map(() => [2, "a2"]));
  expect(stopped).toEqual(ids.map(() => "lost"));
});

test("an agent that does not tell its incarnations apart is an agent as well", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNodes("n1");
  const stranger = cluster.connect("stranger");
  stranger.bus.subscribe(cluster.names.control("s1"), ({ reply = "" }) =>
    stranger.bus.publish(reply, Buffer.from('{"granted":4}')),
  );
  stranger.bus.subscribe(cluster.names.agent("work", "s1"), ({ reply = "" }) => {
    say(cluster, { agent: "s1", running: 1 });
    stranger.bus.publish(reply, Buffer.from("fine"));
  });
  say(cluster, { agent: "s1" });

  await submitAll(cluster);
  const ends = await endsOf(cluster);

  expect(ends.map(({ status, attempt }) => [status, attempt])).toEqual(ids.map(() => ["succeeded", 1]));
  expect((await cluster.drive(cluster.client().agents()))[0]).not.toHaveProperty("incarnation");
});

test("the slots that an agent kept for a node are others' as soon as the node is known to be dead, not after a silence", async () => {
  const cluster = createMemoryCluster({ sessionTtlMs: 60_000 });
  const [first] = await cluster.addNodes("n1", "n2");
  const holding: (() => void)[] = [];
  await cluster.addAgent("a1", {
    concurrency: 1,
    handler: () => new Promise<string>((resolve) => holding.push(() => resolve("done"))),
  });
  const client = cluster.client();
  const ids = Array.from({ length: 24 }, (_, index) => `t${index}`);
  for (const id of ids) await cluster.drive(client.submit({ driver: "work", id }));
  const owners = await cluster.drive(client.shards());
  const onFirst = new Set(owners.shards.filter(({ node }) => node === "n1").map(({ shard }) => shard));
  expect(onFirst.size).toBeGreaterThan(0);
  // Whoever has the one slot keeps it while it works.
  await cluster.clock.runUntil(() => holding.length > 0, 10_000);
  first?.kill();
  const gone = cluster.clock.monotonic();
  const finish = (): void => holding.splice(0).forEach((done) => done());
  const ended = Promise.all(ids.map((id) => client.wait(id)));
  let settled = false;
  void ended.then(() => {
    settled = true;
  });
  while (!settled && cluster.clock.monotonic() - gone < 60_000) {
    finish();
    await cluster.clock.advance(20);
  }
  expect((await ended).map(({ status }) => status)).toEqual(ids.map(() => "succeeded"));
  // Five seconds of silence would be in it otherwise.
  expect(cluster.clock.monotonic() - gone).toBeLessThan(4_500);
});
