import { MSGPACK_TYPE, decodeBody, encodeBody, shardOf } from "@ergon/core/engine";
import { connectNats, openNats } from "@ergon/core/nats";
import { expect } from "vitest";

import { test as base, type Local } from "../support/cluster-local.ts";
import { eventually } from "../support/eventually.ts";

const SHARDS = 8;

/** What the bucket holds, past the nodes. */
interface Bucket {
  write(id: string, data: Uint8Array): Promise<void>;
  read(id: string): Promise<Uint8Array>;
  /** The last revision of anything in it. */
  last(): Promise<number>;
}

const test = base.extend<{ bucket: Bucket }>({
  bucket: async ({ server, namespace }, use) => {
    const link = await connectNats({ servers: server.url });
    const ports = await openNats(link, { namespace, shards: SHARDS });
    const { records } = ports;
    await use({
      write: async (id, data) => {
        const shard = shardOf(id, SHARDS);
        const { fence } = await records.owner(shard);
        expect(await records.commit([{ shard, id, data, fence }])).toMatchObject({ kind: "committed" });
      },
      read: async (id) => Uint8Array.from((await records.read(shardOf(id, SHARDS), id))?.data ?? []),
      last: async () =>
        (await link.api.demand<{ state: { last_seq: number } }>(`STREAM.INFO.KV_ergon_${namespace}_tasks_0`)).state
          .last_seq,
    });
    await ports.close();
  },
});

/** Lets a node store a task that waits, and leave. */
async function storeWaiting(local: Local, id: string): Promise<void> {
  const node = await local.node();
  const client = await local.client();
  await client.submit({ driver: "echo", id, text: "hello", delay: "1h" });
  await node.stop();
}

const unpack = (data: Uint8Array): Record<string, unknown> =>
  decodeBody(data.subarray(1), MSGPACK_TYPE) as Record<string, unknown>;
const pack = (fields: object): Uint8Array => Buffer.concat([Buffer.of(1), encodeBody(fields, MSGPACK_TYPE)]);

test("records that cannot be read are set aside, reported and left as they are; their shard continues (B-21, I-12, M-13)", async ({
  local,
  bucket,
}) => {
  await storeWaiting(local, "good");
  const good = unpack(await bucket.read("good"));
  const bad: Readonly<Record<string, Uint8Array>> = {
    noise: Buffer.from([0xc1, 0xff, 0x00]),
    newer: Buffer.concat([Buffer.of(9), encodeBody(good, MSGPACK_TYPE)]),
    torn: pack(good).subarray(0, 20),
    stranger: pack({ ...good, machine: "from-the-future", version: "7" }),
    state: pack({ ...good, snapshot: { ...(good["snapshot"] as object), value: { live: "dancing" } } }),
  };
  for (const [id, data] of Object.entries(bad)) await bucket.write(id, data);

  await local.node();
  const client = await local.client({ timeoutMs: 2_000 });
  await local.agent({ driver: "echo", handler: ({ payload }) => payload });
  const get = await Promise.all(Object.keys(bad).map((id) => client.get(id).catch((error: unknown) => error)));
  const cancel = await client.cancel("stranger").catch((error: unknown) => error);
  const submit = await client.submit({ driver: "echo", id: "noise" }).catch((error: unknown) => error);

  expect(get).toMatchObject(Object.keys(bad).map(() => ({ code: "TASK_UNREADABLE" })));
  expect([cancel, submit]).toMatchObject([{ code: "TASK_UNREADABLE" }, { code: "TASK_UNREADABLE" }]);
  expect(await client.nodes()).toMatchObject([{ unreadable: 5 }]);
  const reported = local.log.filter(
    ({ level, text }) => level === "warn" && text.startsWith("this node cannot read a record"),
  );
  expect(reported.map(({ fields }) => String(fields["id"])).toSorted()).toEqual(Object.keys(bad).toSorted());
  expect(await client.get("good")).toMatchObject({ status: "scheduled" });
  for (let index = 0; index < 2 * SHARDS; index++) {
    expect((await client.run({ driver: "echo", text: `${index}` })).text()).toBe(`${index}`);
  }
  for (const [id, data] of Object.entries(bad)) expect(Buffer.from(await bucket.read(id)).equals(data)).toBe(true);
});

test("fields that a newer version has written are kept through a change (M-13)", async ({ local, bucket }) => {
  await storeWaiting(local, "mine");
  await bucket.write("mine", pack({ ...unpack(await bucket.read("mine")), invented: { later: [1, 2] } }));

  await local.node();
  const client = await local.client();
  await client.cancel("mine");

  expect(unpack(await bucket.read("mine"))).toMatchObject({
    invented: { later: [1, 2] },
    snapshot: { status: "done" },
  });
});

test("at rest nothing is written, with a task that waits for a time and one that waits for an agent (M-18)", async ({
  local,
  bucket,
}) => {
  await local.node();
  const client = await local.client();
  await local.agent({ driver: "echo", handler: ({ payload }) => payload });
  await client.run({ driver: "echo" });
  await client.submit({ driver: "echo", delay: "1h" });
  const waiting = await client.submit({ driver: "nobody" });
  await eventually("that nobody serves it", async () => (await client.get(waiting.id)).reason?.includes("no agent"));
  const before = await bucket.last();

  // Longer than every interval at which a node looks at anything.
  const watched = performance.now();
  await eventually("a while without a write", () => performance.now() - watched > 1_300);

  expect(await bucket.last()).toBe(before);
});

test("an id is free again when its record's retention is over, and not before", async ({ local, bucket }) => {
  await local.node();
  const client = await local.client();
  await local.agent({ driver: "echo", handler: ({ payload }) => payload });
  const request = { driver: "echo", id: "again", retention: 1_000 };
  await client.run({ ...request, text: "first" });
  await expect(client.submit({ ...request, text: "second" })).rejects.toMatchObject({ code: "ID_CONFLICT" });

  await eventually("the record's end", async () => (await bucket.read("again")).length === 0);

  expect((await client.run({ ...request, text: "second" })).text()).toBe("second");
});
