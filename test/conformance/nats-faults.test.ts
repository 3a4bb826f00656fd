import { createServer } from "node:net";

import { createSystemClock, isErgonError, silentLogger } from "@ergon/core";
import type { Clock, Logger } from "@ergon/core";
import type { Fence, Ownership, Session } from "@ergon/core/engine";
import { connectNats, createNatsBus, openNats } from "@ergon/core/nats";
import type { NatsLink, NatsOptions, NatsPorts } from "@ergon/core/nats";
import { Heard } from "@ergon/core/testing";
import { describe, expect } from "vitest";

import { test as base, uniqueNamespace } from "../support/nats-fixtures.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined): string | undefined =>
  data === undefined ? undefined : new TextDecoder().decode(data);

interface Fixtures {
  /** A connection, closed after the test. */
  readonly connect: (options: NatsOptions) => Promise<NatsLink>;
}

const test = base.extend<{ $test: Fixtures }>({
  connect: async ({}, use) => {
    const links: NatsLink[] = [];
    await use(async (options) => {
      const link = await connectNats(options);
      links.push(link);
      return link;
    });
    for (const link of links) await link.close();
  },
});

async function claimed(ports: NatsPorts, shard: number): Promise<Fence> {
  const { fence } = await ports.records.owner(shard);
  const result = await ports.records.claim(shard, "me", fence);
  if (result.kind !== "claimed") throw new Error(`shard ${shard} is somebody else's`);
  return result.fence;
}

const codeOf = (error: unknown): string => (isErgonError(error) ? error.code : "none of ours");

/** Answers like a nats-server of some version. */
async function pretendServer(version: string): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((socket) => {
    const info = {
      server_id: "x",
      server_name: "x",
      version,
      go: "",
      host: "127.0.0.1",
      port: 0,
      headers: true,
      max_payload: 1_048_576,
      proto: 1,
      client_id: 1,
    };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (data) => data.toString().includes("PING") && socket.write("PONG\r\n"));
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: `nats://127.0.0.1:${port}`, close: () => server.close() };
}

describe("connecting", () => {
  test("an error without a server says where NATS was expected, and shows no password", async ({ connect }) => {
    const attempt = connect({ servers: "nats://user:secret@127.0.0.1:1" });

    await expect(attempt).rejects.toMatchObject({ code: "NATS_UNREACHABLE", kind: "unavailable" });
    await expect(attempt).rejects.toThrow(/127\.0\.0\.1:1: connection refused/);
    await expect(attempt).rejects.not.toThrow(/secret|user/);
  });

  test("a connection waits for a server that does not run yet", async ({ connect, start }) => {
    const server = await start();
    await server.kill();

    const link = connect({ servers: server.url, waitMs: 20_000 });
    await server.restart();

    expect((await link).status).toBe("connected");
  });

  test("wrong credentials are NOT_PERMITTED, and the text holds no secret", async ({ connect, start }) => {
    const server = await start({ configuration: { authorization: { user: "ergon", password: "right" } } });

    const attempt = connect({ servers: server.url, user: "ergon", password: "wrong-secret" });

    await expect(attempt).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    await expect(attempt).rejects.not.toThrow(/secret/);
    expect((await connect({ servers: server.url, user: "ergon", password: "right" })).status).toBe("connected");
    const named = server.url.replace("//", "//ergon:right@");
    expect((await connect({ servers: named })).status).toBe("connected");
    expect((await connect({ servers: `nats://127.0.0.1:1,${named}` })).status).toBe("connected");
  });

  test("a responder cannot tell from the reply-to where JetStream's answers are awaited", async ({
    connect,
    start,
  }) => {
    const { url } = await start();
    const [asker, asked] = [await connect({ servers: url }), createNatsBus(await connect({ servers: url }))];
    const { promise: seen, resolve } = Promise.withResolvers<string>();
    asked.subscribe("question", ({ reply = "" }) => {
      resolve(reply);
      asked.publish(reply, bytes("answer"));
    });
    await asked.flush();

    await createNatsBus(asker).request("question", bytes(""), { timeoutMs: 1_000 });

    const inbox = (await seen).split(".").slice(0, 2).join(".");
    expect(asker.newInbox()).not.toContain(inbox);
    expect(asker.replies.expect("anything", 1_000, { answer: () => true, fail: () => undefined })).not.toContain(inbox);
  });

  test("an old server is refused with the version that is needed", async ({ connect }) => {
    const server = await pretendServer("2.12.1");

    const attempt = connect({ servers: server.url });

    await expect(attempt).rejects.toMatchObject({ code: "SERVER_UNSUITABLE" });
    await expect(attempt).rejects.toThrow(/2\.12\.1; Ergon needs 2\.14/);
    server.close();
  });

  test("a user who may not ask JetStream opens no namespace: NOT_PERMITTED, at once", async ({
    connect,
    start,
    namespace,
  }) => {
    const users = [{ user: "weak", password: "p", permissions: { publish: ["nothing"], subscribe: [">"] } }];
    const server = await start({ configuration: { authorization: { users } } });

    const link = await connect({ servers: server.url, user: "weak", password: "p" });
    const attempt = openNats(link, { namespace });

    await expect(attempt).rejects.toMatchObject({ code: "NOT_PERMITTED" });
    await expect(attempt).rejects.toThrow(/\$JS\.API\.INFO/);
  });

  test("a message that its sender may not publish reaches nobody, and the sender is told before a later flush resolves", async ({
    connect,
    start,
  }) => {
    const users = [
      { user: "weak", password: "p", permissions: { publish: { deny: ["no"] } } },
      { user: "other", password: "p" },
    ];
    const server = await start({ configuration: { authorization: { users } } });
    const [sender, other] = await Promise.all(
      ["weak", "other"].map(async (user) => createNatsBus(await connect({ servers: server.url, user, password: "p" }))),
    );
    const heard: string[] = [];
    other?.subscribe("no", ({ subject }) => heard.push(subject));
    sender?.onRefused((subject) => heard.push(`refused ${subject}`));
    await other?.flush();

    for (let round = 0; round < 50; round++) {
      sender?.publish("no", bytes("x"));
      await sender?.flush();
      heard.push("flushed");
    }
    expect(heard).toEqual(Array.from({ length: 50 }, () => ["refused no", "flushed"]).flat());
  });

  test("an account without JetStream has no namespace: SERVER_UNSUITABLE, and what to do", async ({
    connect,
    start,
    namespace,
  }) => {
    const accounts = { plain: { users: [{ user: "u", password: "p" }] } };
    const server = await start({ configuration: { accounts } });

    const link = await connect({ servers: server.url, user: "u", password: "p" });
    const attempt = openNats(link, { namespace });

    await expect(attempt).rejects.toMatchObject({ code: "SERVER_UNSUITABLE" });
    await expect(attempt).rejects.toThrow(/JetStream/);
  });
});

describe("opening a namespace", () => {
  test("many clients that open a namespace first agree on its shape", async ({ connect, server, namespace }) => {
    const wishes = [64, 32, 16, 8].map((shards) => ({ namespace, shards, commitMode: "pipelined" as const }));

    const opened = await Promise.all(
      wishes.map(async (wish) => openNats(await connect({ servers: server.url }), wish)),
    );

    expect(new Set(opened.map((ports) => ports.records.shards)).size).toBe(1);
    const later = await openNats(await connect({ servers: server.url }), {
      namespace,
      shards: 5,
      commitMode: "pipelined",
    });
    expect(later.shape).toEqual(opened[0]?.shape);
  });

  test("three replicas on one server are refused with what to do", async ({ connect, server, namespace }) => {
    const link = await connect({ servers: server.url });

    await expect(openNats(link, { namespace, replicas: 3 })).rejects.toMatchObject({ code: "SERVER_UNSUITABLE" });
  });

  test("a stream of somebody else's with the bucket's name is not touched", async ({ connect, server, namespace }) => {
    const link = await connect({ servers: server.url });
    const name = `KV_ergon_${namespace}_leases`;
    await link.api.demand(`STREAM.CREATE.${name}`, {
      name,
      subjects: ["theirs.>"],
      storage: "file",
      retention: "limits",
    });

    await expect(openNats(link, { namespace })).rejects.toThrow(/exists and is not one of Ergon's/);
  });
});

describe("when the server fails", () => {
  test("a full store refuses a commit with STORE_FULL, alone and in a batch", async ({ connect, start, namespace }) => {
    const server = await start({ maxFileStoreBytes: 4 * 1_048_576 });
    const ports = await openNats(await connect({ servers: server.url }), { namespace, commitMode: "pipelined" });
    const fence = await claimed(ports, 0);
    const data = new Uint8Array(500_000);
    const write = (id: string): { shard: number; id: string; data: Uint8Array; fence: Fence } => ({
      shard: 0,
      id,
      data,
      fence,
    });

    let index = 0;
    let result = await ports.records.commit([write("t0")]);
    while (result.kind === "committed" && index < 20) result = await ports.records.commit([write(`t${++index}`)]);
    const batch = await ports.records.commit([write("x"), write("y")]);

    expect(result).toMatchObject({ kind: "refused", code: "STORE_FULL" });
    expect(batch).toMatchObject({ kind: "refused", code: "STORE_FULL" });
    expect(await ports.records.read(0, "x")).toBeUndefined();
    expect(await ports.records.probe(0)).toMatchObject({ kind: "refused", code: "STORE_FULL" });
  });

  test("a user who may not write records is told so by the commit", async ({ connect, start, namespace }) => {
    const owner = { user: "owner", password: "p" };
    const reader = {
      user: "reader",
      password: "p",
      permissions: { publish: ["$JS.API.>", "_INBOX.>"], subscribe: [">"] },
    };
    const server = await start({ configuration: { authorization: { users: [owner, reader] } } });
    const full = await openNats(await connect({ servers: server.url, user: "owner", password: "p" }), {
      namespace,
      commitMode: "pipelined",
    });
    const fence = await claimed(full, 0);
    const weak = await openNats(await connect({ servers: server.url, user: "reader", password: "p" }), {
      namespace,
      commitMode: "pipelined",
    });

    const alone = await weak.records.commit([{ shard: 0, id: "x", data: bytes("y"), fence }]);
    const claim = weak.records.claim(1, "reader", 0);

    expect(alone).toMatchObject({ kind: "refused", code: "NOT_PERMITTED" });
    await expect(claim).rejects.toMatchObject({ code: "NOT_PERMITTED" });
  });

  test("commits under way when it is killed are unknown, later ones refused, and all continues when it is back", async ({
    connect,
    start,
    namespace,
  }) => {
    const server = await start({ sync: "always" });
    const link = await connect({ servers: server.url });
    const ports = await openNats(link, { namespace, commitMode: "pipelined" });
    const fence = await claimed(ports, 0);
    const statuses = new Heard<string>();
    ports.bus.onStatus(statuses.hear);
    server.pause();
    const underWay = ["a", "b", "c"].map((id) => ports.records.commit([{ shard: 0, id, data: bytes("x"), fence }]));
    const request = ports.bus.request("any", bytes(""), { timeoutMs: 60_000 }).then(() => "answered", codeOf);

    await server.kill();
    const outcomes = await Promise.all(underWay);
    expect(await request).toBe("NATS_UNREACHABLE");
    await statuses.until((all) => all.includes("disconnected"));
    const away = await ports.records.commit([{ shard: 0, id: "d", data: bytes("x"), fence }]);
    await server.restart();
    await statuses.until((all) => all.at(-1) === "connected");
    const next = await claimed(ports, 0);
    const back = await ports.records.commit([{ shard: 0, id: "e", data: bytes("x"), fence: next }]);

    expect(outcomes.map((outcome) => outcome.kind)).toEqual(["unknown", "unknown", "unknown"]);
    expect(away).toMatchObject({ kind: "refused", code: "STORE_UNAVAILABLE" });
    expect(back.kind).toBe("committed");
    expect(await ports.records.read(0, "d")).toBeUndefined();
  });

  test("a watch of sessions hears of who ended while the connection was away", async ({
    connect,
    start,
    namespace,
  }) => {
    const server = await start();
    const ports = await openNats(await connect({ servers: server.url }), { namespace, commitMode: "pipelined" });
    const heard = new Heard<Session>();
    await ports.leases.renew("short", bytes("1"), 2_000);
    await ports.leases.renew("long", bytes("1"), 600_000);
    const watch = await ports.leases.watch(heard.hear);
    const before = heard.items.length;

    await server.kill();
    await server.restart();
    await heard.until((all) => all.some((session) => session.id === "short" && session.data === undefined));
    await ports.leases.renew("new", bytes("1"), 600_000);
    await heard.until((all) => all.some((session) => session.id === "new"));

    expect(heard.items.slice(before).map((session) => [session.id, text(session.data)])).toEqual([
      ["short", undefined],
      ["new", "1"],
    ]);
    watch.stop();
  });

  test("a watch of sessions hears of one that has gone without a trace meanwhile", async ({
    connect,
    start,
    namespace,
  }) => {
    const server = await start();
    const port = Number(new URL(server.url).port);
    const ports = await openNats(await connect({ servers: server.url }), { namespace, commitMode: "pipelined" });
    const heard = new Heard<Session>();
    for (const id of ["lost", "kept"]) await ports.leases.renew(id, bytes("1"), 600_000);
    const watch = await ports.leases.watch(heard.hear);
    const before = heard.items.length;

    await server.kill();
    await server.restart({ port: -1 });
    const elsewhere = await connect({ servers: server.url });
    const filter = `$KV.ergon_${namespace}_leases.session.lost`;
    await elsewhere.api.demand(`STREAM.PURGE.KV_ergon_${namespace}_leases`, { filter });
    await server.kill();
    await server.restart({ port });
    await heard.until((all) => all.length > before);

    expect(heard.items.slice(before)).toEqual([{ id: "lost", data: undefined, revision: 0 }]);
    watch.stop();
  });

  test("a watch whose handler throws hears of everything else, once", async ({ connect, server, namespace }) => {
    const lines: string[] = [];
    const error = (_fields: object, message: string) => lines.push(message);
    const logger: Logger = { ...silentLogger, error, child: () => logger };
    const link = await connectNats({ servers: server.url }, { logger });
    const ports = await openNats(link, { namespace });
    const other = await openNats(await connect({ servers: server.url }), { namespace });
    await other.leases.renew("bad", bytes("1"), 60_000);
    const heard = new Heard<Session>();
    const told: string[] = [];
    const watch = await ports.leases.watch((session) => {
      told.push(session.id);
      if (session.id === "bad") throw new Error("cannot be read");
      heard.hear(session);
    });

    await other.leases.renew("bad", bytes("2"), 60_000);
    await other.leases.renew("good", bytes("1"), 60_000);
    await heard.until((sessions) => sessions.some(({ id }) => id === "good"));
    watch.stop();
    await ports.close();

    expect(told).toEqual(["bad", "bad", "good"]);
    const skipped = "a change of a key could not be processed; the watch skips it";
    expect(lines).toEqual([skipped, skipped]);
  });

  test("a watch of owners hears what changed while its own connection was away", async ({
    connect,
    start,
    namespace,
  }) => {
    const server = await start();
    const ports = await openNats(await connect({ servers: server.url }), { namespace, commitMode: "pipelined" });
    const heard = new Heard<Ownership>();
    const first = await claimed(ports, 0);
    const watch = await ports.records.watchOwners(heard.hear);

    await server.kill();
    await server.restart();
    const second = await openNats(await connect({ servers: server.url }), { namespace, commitMode: "pipelined" });
    const result = await second.records.claim(0, "second", first);
    await heard.until((all) => all.some((ownership) => ownership.session === "second"));

    expect(result.kind).toBe("claimed");
    expect(heard.items.map((ownership) => ownership.session)).toEqual(["me", "second"]);
    watch.stop();
  });

  test("a subscription works again when the server is back", async ({ connect, start }) => {
    const server = await start();
    const ports = await openNats(await connect({ servers: server.url }), {
      namespace: uniqueNamespace(),
      commitMode: "pipelined",
    });
    const statuses = new Heard<string>();
    ports.bus.onStatus(statuses.hear);
    ports.bus.subscribe("echo", (message) => ports.bus.publish(message.reply ?? "", message.data));

    await server.kill();
    await server.restart();
    await statuses.until((all) => all.at(-1) === "connected");

    expect(text((await ports.bus.request("echo", bytes("hello"), { timeoutMs: 10_000 })).data)).toBe("hello");
  });
});

test("a connection that is closed leaves no timer behind: the process may end", async ({ start }) => {
  const system = createSystemClock();
  const pending = new Set<unknown>();
  const clock: Clock = {
    ...system,
    after: (ms, run) => {
      const timer = system.after(ms, () => {
        pending.delete(timer);
        run();
      });
      pending.add(timer);
      return timer;
    },
    cancel: (timer) => {
      pending.delete(timer);
      system.cancel(timer);
    },
  };
  const link = await connectNats({ servers: (await start()).url }, { clock });
  const bus = createNatsBus(link);
  bus.subscribe("echo", ({ reply = "", data }) => bus.publish(reply, data));
  await bus.request("echo", bytes("x"), { timeoutMs: 60_000 });

  await link.close();

  expect(pending.size).toBe(0);
});

test("the messages that one turn publishes arrive in their order, however large, and before a later request", async ({
  start,
  connect,
}) => {
  const { url } = await start();
  const [from, to] = [createNatsBus(await connect({ servers: url })), createNatsBus(await connect({ servers: url }))];
  const heard: string[] = [];
  to.subscribe("many", (message) => heard.push(`${message.header("N") ?? "-"}:${message.data.length}`));
  await to.flush();
  const sizes = Array.from({ length: 60 }, (_, index) => (index % 7 === 0 ? 200_000 : index));

  for (const [index, size] of sizes.entries())
    from.publish("many", new Uint8Array(size), index % 2 === 0 ? {} : { headers: { N: `ü${index}` } });
  await from.flush();
  await to.flush();

  expect(heard).toEqual(sizes.map((size, index) => `${index % 2 === 0 ? "-" : `ü${index}`}:${size}`));
});
