import { SECOND, type TaskView } from "@ergon/core";
import { H, shardOf } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { answerPlain, createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const SHARDS = 8;

/** An id whose shard the node owns. */
async function idAt(cluster: MemoryCluster, node: string, name = "t"): Promise<string> {
  const { shards } = await cluster.drive(cluster.client().shards());
  const owned = new Set(shards.filter((shard) => shard.node === node).map(({ shard }) => shard));
  for (let index = 0; ; index++) if (owned.has(shardOf(`${name}-${index}`, SHARDS))) return `${name}-${index}`;
}

async function submitMany(cluster: MemoryCluster, count: number, more: object = {}): Promise<string[]> {
  // A host that is gone without a word keeps its place in NATS's queue groups for a while.
  const client = cluster.client({ timeoutMs: 180_000 });
  const ids = Array.from({ length: count }, (_, index) => `many-${index}`);
  await cluster.drive(Promise.all(ids.map((id) => client.submit({ driver: "work", id, ...more }))));
  return ids;
}

async function endsOf(cluster: MemoryCluster, ids: readonly string[]): Promise<TaskView[]> {
  const client = cluster.client({ timeoutMs: 180_000 });
  return cluster.drive(Promise.all(ids.map((id) => client.wait(id))));
}

describe("a node that dies", () => {
  test("a node that dies loses its shards within two seconds, and nothing that was accepted (B-22, B-66, I-7)", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    const [first, second] = await cluster.addNodes("n1", "n2");
    const runs: string[] = [];
    await cluster.addAgent("a1", {
      handler: async (attempt) => {
        runs.push(attempt.taskId);
        await attempt.sleep(500);
      },
    });
    const ids = await submitMany(cluster, 40);
    const begin = cluster.clock.monotonic();

    first?.kill();
    await cluster.waitForOwners();

    expect(second?.gone).toBe(false);
    expect(cluster.clock.monotonic() - begin).toBeLessThan(2 * SECOND);
    const ends = await endsOf(cluster, ids);
    expect(new Set(ends.map(({ status }) => status))).toEqual(new Set(["succeeded"]));
    expect(runs.toSorted()).toEqual(ids.toSorted());
  });

  test("a node that dies without a word, as when its host loses power, loses its shards once its session has expired", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    const [first] = await cluster.addNodes("n1", "n2");
    await cluster.addAgent("a1");
    const begin = cluster.clock.monotonic();

    first?.vanish();
    await cluster.waitForOwners();

    expect(cluster.clock.monotonic() - begin).toBeLessThan(10 * SECOND);
    const ids = await submitMany(cluster, 10, {});
    expect((await endsOf(cluster, ids)).every(({ status }) => status === "succeeded")).toBe(true);
  });

  test.for([0, 3_000])(
    "a node that dies together with an agent, which vanished %i ms before, has its attempts begun again within 15 s",
    async (earlierMs) => {
      const cluster = createMemoryCluster({ shards: SHARDS });
      const [first] = await cluster.addNodes("n1", "n2");
      const agent = await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(3_600_000) });
      const id = await idAt(cluster, "n1");
      await cluster.drive(cluster.client().submit({ driver: "work", id, attemptTimeout: "1h" }));
      await cluster.clock.advance(1_000);

      agent.vanish();
      await cluster.clock.advance(earlierMs);
      first?.vanish();
      let begunAt = 0;
      await cluster.addAgent("a2", { handler: () => void (begunAt = cluster.clock.monotonic()) });
      const vanishedAt = cluster.clock.monotonic();
      await cluster.clock.advance(20_000);

      expect(begunAt - vanishedAt).toBeGreaterThan(0);
      expect(begunAt - vanishedAt).toBeLessThan(15 * SECOND);
      const [stored] = await cluster.stored();
      expect(stored).toMatchObject({ status: "succeeded", task: { attempt: 2, lost: 1, agent: "a2" } });
    },
  );
});

describe("a node that was only paused", () => {
  test("a node that was only paused drops the shards that it has lost when it wakes, leaves their records alone, and joins again", async () => {
    const cluster = createMemoryCluster({ seed: 2, shards: SHARDS });
    const [first] = await cluster.addNodes("n1", "n2");
    const done: string[] = [];
    await cluster.addAgent("a1", {
      handler: async (attempt) => {
        await attempt.sleep(1_000);
        done.push(`${attempt.taskId}.${attempt.number}`);
        return attempt.number;
      },
    });
    const id = await idAt(cluster, "n1");
    await cluster.drive(cluster.client().submit({ driver: "work", id }));

    first?.pause();
    const end = await cluster.drive(cluster.client().wait(id));
    const stored = await cluster.stored();
    first?.resume();
    await cluster.clock.advance(10_000);

    expect(end.status).toBe("succeeded");
    expect(done).toEqual([`${id}.1`]);
    expect(await cluster.stored()).toEqual(stored);
    await cluster.waitForOwners();
    const { shards } = await cluster.drive(cluster.client().shards());
    expect(new Set(shards.map(({ node }) => node))).toEqual(new Set(["n1", "n2"]));
  });

  test("a node that was only paused never writes over what its successor wrote: a cancel that came meanwhile stands (I-1, I-2)", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    const [first] = await cluster.addNodes("n1", "n2");
    // Answers to the old owner only, at the moment at which it wakes.
    cluster.addPlainAgent("plain", () => undefined);
    const id = await idAt(cluster, "n1");
    const client = cluster.client();
    await cluster.drive(client.submit({ driver: "plain", id, attemptTimeout: "20s", retry: { maxAttempts: 1 } }));
    await cluster.clock.advance(500);

    first?.pause();
    await cluster.clock.advance(8_000);
    const cancelled = await cluster.drive(client.cancel(id, { by: "me", reason: "enough" }));
    await cluster.clock.advance(30_000);
    first?.resume();
    await cluster.clock.advance(5_000);

    expect(cancelled.cancelled).toEqual({ by: "me", reason: "enough" });
    const end = await cluster.drive(client.get(id));
    expect(end).toMatchObject({ status: "cancelled", cancelled: { by: "me", reason: "enough" } });
  });
});

describe("ownership", () => {
  test("the store keeps only the writes of the last of two owners (M-6, I-2)", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    const [older, newer] = [cluster.connect("older"), cluster.connect("newer")];
    const write = (id: string, fence: number) => ({ shard: 0, id, data: Buffer.from(id), fence });
    const first = await cluster.drive(older.records.claim(0, "older", 0));
    const second = await cluster.drive(newer.records.claim(0, "newer", first.kind === "claimed" ? first.fence : 0));
    const fences = [first, second].map((claim) => (claim.kind === "claimed" ? claim.fence : 0));

    const results = await cluster.drive(
      Promise.all([
        older.records.commit([write("old", fences[0] ?? 0)]),
        newer.records.commit([write("new", fences[1] ?? 0)]),
      ]),
    );

    expect(results.map(({ kind }) => kind)).toEqual(["fenced", "committed"]);
    expect(await cluster.drive(older.records.read(0, "old"))).toBeUndefined();
  });

  test("a shard that two nodes claim at once goes to exactly one of them (B-61)", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    const claimants = ["one", "other"].map((name) => ({ name, records: cluster.connect(name).records }));

    const claims = await cluster.drive(Promise.all(claimants.map(({ name, records }) => records.claim(0, name, 0))));

    expect(claims.map(({ kind }) => kind).toSorted()).toEqual(["claimed", "lost"]);
    const winner = claimants[claims.findIndex(({ kind }) => kind === "claimed")];
    expect((await cluster.drive(cluster.connect("reader").records.owner(0))).session).toBe(winner?.name);
  });

  test("exactly one of several surviving nodes recovers each attempt of the dead one (B-65)", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    const [first] = await cluster.addNodes("n1", "n2", "n3", "n4");
    const lost = await cluster.addAgent("a1", { concurrency: 100, handler: (attempt) => attempt.sleep(3_600_000) });
    const client = cluster.client();
    const ids: string[] = [];
    for (let index = 0; index < 20; index++) ids.push(await idAt(cluster, "n1", `t${index}`));
    await cluster.drive(Promise.all(ids.map((id) => client.submit({ driver: "work", id, attemptTimeout: "2h" }))));
    await cluster.clock.advance(500);
    const recovered: string[] = [];
    const writers = new Map<string, Set<string>>();
    cluster.onCommit = (node, writes) => {
      for (const { id } of writes) writers.set(id, (writers.get(id) ?? new Set()).add(node));
    };

    first?.kill();
    lost.kill();
    await cluster.addAgent("a2", {
      concurrency: 20,
      handler: (attempt) => void recovered.push(`${attempt.taskId}.${attempt.number}`),
    });
    await endsOf(cluster, ids);

    expect(recovered.toSorted()).toEqual(ids.map((id) => `${id}.2`).toSorted());
    expect(ids.map((id) => writers.get(id)?.size)).toEqual(ids.map(() => 1));
    expect(new Set([...writers.values()].flatMap((names) => [...names])).size).toBeGreaterThan(1);
  });

  test("no record is ever written by two nodes under one fence, and a shard's fences only grow (I-2)", async () => {
    const cluster = createMemoryCluster({ seed: 11, shards: SHARDS });
    const writers = new Map<string, Set<string>>();
    const fences = new Map<number, Set<number>>();
    cluster.onCommit = (node, writes) => {
      for (const { shard, fence } of writes) {
        const key = `${shard} ${fence}`;
        writers.set(key, (writers.get(key) ?? new Set()).add(node));
        fences.set(shard, (fences.get(shard) ?? new Set()).add(fence));
      }
    };
    const [first] = await cluster.addNodes("n1", "n2", "n3");
    await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(300) });
    const ids = await submitMany(cluster, 60);
    first?.pause();
    await cluster.clock.advance(8_000);
    first?.resume();
    await endsOf(cluster, ids);

    expect(writers.size).toBeGreaterThan(SHARDS);
    expect([...writers.values()].filter((nodes) => nodes.size > 1)).toEqual([]);
    const used = [...fences.values()].map((seen) => [...seen]);
    expect(used).toEqual(used.map((seen) => seen.toSorted((a, b) => a - b)));
  });

  test("the shards come to rest after any joins and deaths, and then no node claims or releases one (I-6)", async () => {
    const cluster = createMemoryCluster({ seed: 5, shards: SHARDS });
    await cluster.addNodes("n1", "n2", "n3");
    for (let round = 0; round < 10; round++) {
      const living = cluster.nodes.filter(({ gone }) => !gone);
      const victim = living[Math.floor(cluster.random() * living.length)];
      if (living.length > 1 && cluster.random() < 0.6) victim?.kill();
      await cluster.addNode(`r${round}`);
      await cluster.clock.advance(cluster.random() * 3_000);
    }
    await cluster.waitForOwners();
    await cluster.clock.advance(SECOND);
    const { claims } = cluster.writes;

    await cluster.clock.advance(60 * SECOND);

    expect(cluster.writes.claims).toBe(claims);
  });

  test("a node that gets no shard, since there are more nodes than shards, is ready", async () => {
    const cluster = createMemoryCluster({ shards: 2 });
    await cluster.addNodes("n1", "n2");
    const third = await cluster.addNode("n3");

    await expect(cluster.drive(third.node.ready, 30_000)).resolves.toBeUndefined();
  });

  test("a node that joins gets its share, and moves nothing else", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    await cluster.addNodes("n1", "n2");
    const before = (await cluster.drive(cluster.client().shards())).shards;

    await cluster.addNodes("n3");

    const after = (await cluster.drive(cluster.client().shards())).shards;
    const moved = after.filter(({ node, shard }) => before[shard]?.node !== node);
    expect(moved.map(({ node }) => node)).toEqual(["n3", "n3"]);
  });

  test("a node that joins while shards are still being read gets its share too", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    const first = await cluster.addNode("n1");
    const second = await cluster.addNode("n2");
    const third = await cluster.addNode("n3");

    await cluster.drive(Promise.all([first.node.ready, second.node.ready, third.node.ready]), 30_000);

    const { shards } = await cluster.drive(cluster.client().shards());
    const counts = ["n1", "n2", "n3"].map((node) => shards.filter((shard) => shard.node === node).length);
    expect(counts.toSorted((a, b) => a - b)).toEqual([2, 3, 3]);
  });
});

describe("a node that stops", () => {
  test("a node that stops hands its shards over: nothing is lost, and submits never stop (B-34, M-4)", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    const [first] = await cluster.addNodes("n1", "n2");
    const runs: string[] = [];
    await cluster.addAgent("a1", {
      handler: async (attempt) => {
        runs.push(attempt.taskId);
        await attempt.sleep(2_000);
      },
    });
    const ids = await submitMany(cluster, 20);

    const stopped = first?.node.stop();
    const more = await cluster.drive(cluster.client().submit({ driver: "work" }));
    await cluster.drive(Promise.resolve(stopped), 5_000);
    if (first !== undefined) first.gone = true;

    const ends = await endsOf(cluster, [...ids, more.id]);
    expect(new Set(ends.map(({ status }) => status))).toEqual(new Set(["succeeded"]));
    expect(runs.toSorted()).toEqual([...ids, more.id].toSorted());
    await cluster.waitForOwners();
  });

  test("a node that stops while it still reads a shard does not wait for its drain to run out", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    await cluster.addNodes("n1");
    const second = await cluster.addNode("n2");
    const begin = cluster.clock.monotonic();

    await cluster.drive(second.node.stop());

    expect(cluster.clock.monotonic() - begin).toBeLessThan(5_000);
  });

  test("a node that stops loses no answer of plain agents, who say it only once", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    const [first] = await cluster.addNodes("n1", "n2");
    const runs: string[] = [];
    cluster.addPlainAgent("plain", (message, bus) => {
      const copy = { ...message, reply: message.reply };
      runs.push(message.header(H.task) ?? "");
      // The answers come while the shards change hands.
      cluster.clock.after(1_000 + runs.length, () => answerPlain(copy, bus, "done"));
    });
    const client = cluster.client();
    const ids = Array.from({ length: 40 }, (_, index) => `plain-${index}`);
    await cluster.drive(Promise.all(ids.map((id) => client.submit({ driver: "plain", id }))));
    await cluster.clock.advance(900);

    const stopped = first?.node.stop();
    const ends = await endsOf(cluster, ids);
    await cluster.drive(Promise.resolve(stopped));

    expect(new Set(ends.map(({ status, attempt }) => `${status} ${attempt}`))).toEqual(new Set(["succeeded 1"]));
    expect(runs).toHaveLength(40);
  });
});

describe("NATS gone for a minute", () => {
  test("agents stop by themselves when NATS is gone for a minute, and afterwards everything continues (M-11)", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    const nodes = await cluster.addNodes("n1", "n2");
    const aborted: string[] = [];
    const agent = await cluster.addAgent("a1", {
      cutOffMs: 5_000,
      handler: async (attempt) => {
        if (attempt.number > 1) return "again";
        attempt.signal.addEventListener("abort", () => aborted.push(attempt.taskId));
        return attempt.sleep(600_000);
      },
    });
    const ids = await submitMany(cluster, 5, { attemptTimeout: "20m" });
    await cluster.clock.advance(1_000);

    for (const member of [...nodes, agent]) member.disconnect();
    await cluster.clock.advance(60_000);
    expect(aborted.toSorted()).toEqual(ids.toSorted());
    for (const member of [...nodes, agent]) member.reconnect();

    const ends = await endsOf(cluster, ids);
    expect(ends.map(({ status, attempt, response }) => [status, attempt > 1, response])).toEqual(
      ids.map(() => ["succeeded", true, expect.objectContaining({ text: "again" })]),
    );
  });
});

describe("a connection that breaks at any moment", () => {
  const moments = Array.from({ length: 25 }, (_, index) => index * 2);

  test("a connection that breaks at any moment of a shard's take-over leaves no shard unserved (I-3)", async () => {
    for (const moment of moments) {
      const cluster = createMemoryCluster({ shards: SHARDS });
      const first = await cluster.addNode("n1");
      await cluster.clock.advance(moment / 10);

      first.disconnect();
      await cluster.clock.advance(700);
      first.reconnect();

      expect(await endsEverywhere(cluster)).toEqual(["succeeded"]);
    }
  });

  test("a connection that breaks at any moment of a shard's hand-over leaves no shard unserved (I-3)", async () => {
    for (const moment of moments) {
      const cluster = createMemoryCluster({ shards: SHARDS });
      const [first] = await cluster.addNodes("n1");
      await submitMany(cluster, 20, { driver: "nobody" });
      cluster.clock.after(moment / 4, () => first?.disconnect());
      cluster.clock.after(moment / 4 + 200, () => first?.reconnect());
      const second = await cluster.addNode("n2");
      await cluster.clock.advance(300);

      await cluster.drive(second.node.ready, 60_000);
      expect(await endsEverywhere(cluster)).toEqual(["succeeded"]);
    }
  });
});

/** How tasks of every shard end. */
async function endsEverywhere(cluster: MemoryCluster): Promise<string[]> {
  await cluster.addAgent("everywhere", { driver: "check", concurrency: 100 });
  const client = cluster.client();
  const ids = Array.from({ length: 40 }, (_, index) => `check-${index}`);
  const ends = await cluster.drive(
    Promise.all(ids.map(async (id) => (await client.submit({ driver: "check", id })).wait())),
    120_000,
  );
  return [...new Set(ends.map(({ status }) => status))];
}

test("a note of where to read from that cannot be read costs more reading, not the shard (B-21)", async () => {
  const cluster = createMemoryCluster({ shards: 1 });
  const [first] = await cluster.addNodes("n1");
  const ids = await submitMany(cluster, 3);
  const { leases } = cluster.connect("vandal");
  await cluster.drive(leases.writeMark(0, Buffer.from([0xc1, 0xff])));

  first?.kill();
  await cluster.addNodes("n2");
  await cluster.addAgent("a1");

  expect((await endsOf(cluster, ids)).map(({ status }) => status)).toEqual(["succeeded", "succeeded", "succeeded"]);
});
