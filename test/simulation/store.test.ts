import { type TaskView } from "@ergon/core";
import { H, encodeRecord, shardOf, taskMachine, begin } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

/** Stores bytes under an id as a node would, before any node is there. */
async function plant(cluster: MemoryCluster, shards: number, id: string, data: Uint8Array): Promise<void> {
  const { records } = cluster.connect("planter");
  const shard = shardOf(id, shards);
  const { fence } = await cluster.drive(records.owner(shard));
  const claim = await cluster.drive(records.claim(shard, undefined, fence));
  await cluster.drive(records.commit([{ shard, id, data, fence: claim.kind === "claimed" ? claim.fence : 0 }]));
}

async function read(cluster: MemoryCluster, shards: number, id: string): Promise<Uint8Array | undefined> {
  return (await cluster.drive(cluster.connect("reader").records.read(shardOf(id, shards), id)))?.data;
}

async function run(cluster: MemoryCluster, count: number): Promise<TaskView[]> {
  const client = cluster.client({ timeoutMs: 120_000 });
  const one = async (): Promise<TaskView> => (await client.submit({ driver: "work" })).wait();
  return cluster.drive(Promise.all(Array.from({ length: count }, one)));
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "none",
    (error: { code: string }) => error.code,
  );

describe("a record that cannot be read", () => {
  const rotten = {
    garbage: Buffer.from("garbage"),
    "a newer version": Buffer.from([9, 1, 2, 3]),
    "an unknown machine": encodeRecord(
      { ...taskMachine, version: "99" },
      begin(taskMachine, { spec: { id: "x", driver: "work", payload: Buffer.of() }, at: 0, chance: 0 }, 0).state,
    ),
  };

  test.for(Object.entries(rotten))(
    "a record that cannot be read (%s) is set aside and left as it is, and every other task continues (B-21, I-12, M-13)",
    async ([, data]) => {
      const cluster = createMemoryCluster({ shards: 2 });
      for (const id of ["rotten-1", "rotten-2"]) await plant(cluster, 2, id, data);
      await cluster.addNodes("n1");
      await cluster.addAgent("a1");
      const client = cluster.client();

      expect((await run(cluster, 20)).every(({ status }) => status === "succeeded")).toBe(true);
      for (const ask of [
        () => client.get("rotten-1"),
        () => client.cancel("rotten-1"),
        () => client.submit({ driver: "work", id: "rotten-1" }),
      ]) {
        expect(await cluster.drive(codeOf(ask()))).toBe("TASK_UNREADABLE");
      }
      const [node] = await cluster.drive(client.nodes());
      expect(node?.unreadable).toBe(2);
      const waiting = Object.values(node?.waiting ?? {}).reduce((sum, count) => sum + count, 0);
      expect(node?.setAside ?? []).toHaveLength(2 - waiting);
      expect(Buffer.from((await read(cluster, 2, "rotten-1")) ?? [])).toEqual(Buffer.from(data));
    },
  );

  test("a record that cannot be read stays known to the next owner of its shard (M-13)", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    await plant(cluster, 1, "from-the-future", Buffer.from([9, 1]));
    const [first] = await cluster.addNodes("n1");
    await cluster.addAgent("a1");
    await run(cluster, 5);

    // A graceful hand-over leaves a note of what is to be read.
    await cluster.drive(first?.node.stop() ?? Promise.resolve());
    if (first !== undefined) first.gone = true;
    await cluster.addNodes("n2");

    expect((await cluster.drive(cluster.client().nodes()))[0]?.unreadable).toBe(1);
  });

  test("a record keeps the fields of a newer node through every transition (M-13)", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    const spec = { id: "mine", driver: "work", payload: Buffer.from("x") };
    const { state } = begin(taskMachine, { spec, at: cluster.clock.now(), chance: 0 }, cluster.clock.now());
    await plant(cluster, 1, "mine", encodeRecord(taskMachine, state, { colour: "red" }));
    await cluster.addNodes("n1");
    await cluster.addAgent("a1");

    await cluster.drive(cluster.client().wait("mine"));

    expect(Buffer.from((await read(cluster, 1, "mine")) ?? []).includes("colour")).toBe(true);
  });
});

describe("a full disk", () => {
  test.for([false, true])(
    "a full disk refuses submits, retries the writes of running tasks for as long as it takes, and shows in the health of its node (B-23; one in flight: %s)",
    async (oneInFlight) => {
      const cluster = createMemoryCluster({ shards: 4, oneInFlight });
      await cluster.addNodes("n1");
      await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(1_000) });
      const client = cluster.client({ timeoutMs: 5_000 });
      const running = await cluster.drive(
        Promise.all(Array.from({ length: 6 }, () => client.submit({ driver: "work" }))),
      );
      await cluster.clock.advance(200);

      cluster.network.storage = "full";
      const raw = cluster.connect("raw");
      const answer = await cluster.drive(
        raw.bus.request(cluster.names.submit("work"), new Uint8Array(), {
          headers: { [H.id]: "refused" },
          timeoutMs: 2_000,
        }),
      );
      expect(answer.header(H.error)).toBe("STORE_FULL");
      await cluster.clock.advance(60_000);
      const during = await cluster.drive(Promise.all(running.map((task) => task.get())));
      expect(during.map(({ status }) => status)).toEqual(running.map(() => "started"));
      const commits = cluster.writes.commits;
      await cluster.clock.advance(60_000);
      expect(cluster.writes.commits - commits).toBeLessThan(60 * 8);
      expect(cluster.writes.commits - commits).toBeGreaterThan(10);
      const [sick] = await cluster.drive(client.nodes());
      expect(sick?.store).toMatchObject({ bucket: 0, code: "STORE_FULL" });
      expect(Date.parse(sick?.store?.since ?? "")).toBeLessThan(cluster.clock.now() - 110_000);

      cluster.network.storage = "ok";
      const ends = await cluster.drive(Promise.all(running.map((task) => task.wait())));
      expect(ends.map(({ status, attempt }) => [status, attempt])).toEqual(running.map(() => ["succeeded", 1]));
      await cluster.clock.advance(12_000);
      expect(await cluster.drive(client.nodes())).not.toHaveProperty("0.store");
      expect(await cluster.drive(codeOf(client.get("refused")))).toBe("TASK_NOT_FOUND");
      expect((await cluster.drive(client.submit({ driver: "work", id: "refused" }))).id).toBe("refused");
    },
  );

  test("a task whose first write is in doubt on a full disk is not refused as long as it may be stored (I-7)", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    await cluster.addNodes("n1");
    await cluster.addAgent("a1");
    const client = cluster.client({ timeoutMs: 120_000 });
    cluster.network.faults.loseAcknowledgement = 1;
    const submitted = client.submit({ driver: "work", id: "doubtful" });
    submitted.catch(() => undefined);
    await cluster.clock.advance(1_000);

    cluster.network.faults.loseAcknowledgement = 0;
    cluster.network.storage = "full";
    await cluster.clock.advance(10_000);
    cluster.network.storage = "ok";

    await cluster.drive(submitted);
    expect((await cluster.drive(client.wait("doubtful"), 120_000)).status).toBe("succeeded");
  });
});

describe("a bucket without a leader", () => {
  test("a bucket without a leader keeps its own tasks waiting, and no others", async () => {
    const cluster = createMemoryCluster({ shards: 4, buckets: 2 });
    await cluster.addNodes("n1");
    await cluster.addAgent("a1");
    cluster.network.storage = "unavailable";
    const client = cluster.client({ timeoutMs: 60_000 });
    const submitted = client.submit({ driver: "work" });
    await cluster.clock.advance(8_000);
    cluster.network.storage = "ok";
    expect((await cluster.drive(client.wait((await cluster.drive(submitted)).id))).status).toBe("succeeded");
  });
});

describe("a payload that is too large", () => {
  test("a payload that is too large is refused by its size, never cut (B-47)", async () => {
    const cluster = createMemoryCluster({ maxMessageBytes: 100_000 });
    await cluster.addNodes("n1");
    const client = cluster.client();
    expect(await cluster.drive(codeOf(client.submit({ driver: "work", payload: Buffer.alloc(90_000) })))).toBe(
      "PAYLOAD_TOO_LARGE",
    );
    const pair = { payload: Buffer.alloc(60_000), arguments: { a: "x".repeat(16_000) } };
    expect(await cluster.drive(codeOf(client.submit({ driver: "work", ...pair })))).toBe("PAYLOAD_TOO_LARGE");
    expect(await cluster.drive(codeOf(client.batch({ tasks: [{ driver: "work", ...pair }] })))).toBe("BATCH_REJECTED");
    expect(await cluster.stored()).toEqual([]);
  });

  test("a response that does not fit beside its payload fails its task, and holds up no other (I-12, B-32)", async () => {
    const cluster = createMemoryCluster({ maxMessageBytes: 100_000, shards: 1 });
    await cluster.addNodes("n1");
    await cluster.addAgent("a1", {
      handler: (attempt) => (attempt.payload.length > 0 ? Buffer.alloc(60_000) : "small"),
    });
    const client = cluster.client({ timeoutMs: 60_000 });
    const large = await cluster.drive(client.submit({ driver: "work", payload: Buffer.alloc(60_000) }));

    expect((await run(cluster, 5)).map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => "succeeded"));

    const end = await cluster.drive(large.wait());
    expect(end).toMatchObject({ status: "failed", failure: { code: "RESPONSE_TOO_LARGE", retryable: false } });
  });

  test("the longest of everything a task may carry fits its record, however often it is tried", async () => {
    const cluster = createMemoryCluster({ maxMessageBytes: 100_000, shards: 1 });
    await cluster.addNodes("n1");
    await cluster.addAgent("a1", {
      handler: () => {
        throw new Error("long ".repeat(1_000));
      },
    });
    const client = cluster.client({ timeoutMs: 600_000 });
    const task = await cluster.drive(
      client.submit({
        driver: "work",
        payload: Buffer.alloc(100_000 - 32_768 - 19_200),
        arguments: { a: "x".repeat(16_000) },
        resource: "r".repeat(2_048),
        tags: Array.from({ length: 16 }, (_, index) => `${index}`.padEnd(64, "t")),
        retry: { maxAttempts: 40, initial: 1, max: 1 },
      }),
    );

    const end = await cluster.drive(task.wait());

    expect(end).toMatchObject({ status: "failed", failures: 40, failure: { code: "AGENT_FAILED" } });
  });
});

describe("an idle minute", () => {
  test("an idle minute writes nothing but the renewals of the nodes' sessions (M-18)", async () => {
    const cluster = createMemoryCluster({ shards: 8 });
    await cluster.addNodes("n1", "n2", "n3");
    await cluster.addAgent("a1");
    await run(cluster, 20);
    await cluster.drive(cluster.client().submit({ driver: "work", delay: "1h" }));
    await cluster.clock.advance(5_000);
    const before = { ...cluster.writes };

    await cluster.clock.advance(60_000);

    const { renewals, times: _, ...others } = cluster.writes;
    const { renewals: renewalsBefore, times: __, ...othersBefore } = before;
    expect(others).toEqual(othersBefore);
    expect(renewals - renewalsBefore).toBe(3 * 30);
  });

  test("a short task costs two writes", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    await cluster.addNodes("n1");
    await cluster.addAgent("a1");
    await run(cluster, 1);
    const before = cluster.writes.records;
    await run(cluster, 1);
    expect(cluster.writes.records - before).toBe(2);
  });
});
