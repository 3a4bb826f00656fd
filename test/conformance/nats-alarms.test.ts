import path from "node:path";

import { silentLogger } from "@ergon/core";
import { connectNats, openNats } from "@ergon/core/nats";
import type { NatsPorts } from "@ergon/core/nats";
import { Heard } from "@ergon/core/testing";
import { expect, vi } from "vitest";

import { root } from "../support/documents.ts";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/nats-fixtures.ts";

interface Fixtures {
  /** One more process in the test's namespace, closed after it. */
  readonly open: (url: string) => Promise<NatsPorts>;
}

const test = base.extend<{ $test: Fixtures }>({
  open: async ({ namespace }, use) => {
    const opened: NatsPorts[] = [];
    await use(async (url) => {
      const ports = await openNats(await connectNats({ servers: url }), { namespace, commitMode: "pipelined" });
      opened.push(ports);
      return ports;
    });
    for (const ports of opened) await ports.close();
  },
});

const nothing = new Uint8Array(0);

async function listen({ alarms }: NatsPorts): Promise<Heard<string>> {
  const heard = new Heard<string>();
  await alarms.listen(async ({ key }) => heard.hear(key));
  return heard;
}

/** What the stream of alarms holds: set, gone off, or in a handler. */
async function stored(url: string, namespace: string): Promise<number> {
  const link = await connectNats({ servers: url });
  const { state } = await link.api.demand<{ readonly state: { readonly messages: number } }>(
    `STREAM.INFO.ergon_${namespace}_alarms`,
  );
  await link.close();
  return state.messages;
}

test("alarms outlive a kill -9 of the server: what was due meanwhile goes off when it is back, to who listened before", async ({
  start,
  open,
}) => {
  const server = await start({ sync: "always" });
  const [setter, listener] = [await open(server.url), await open(server.url)];
  const heard = await listen(listener);
  const now = await setter.records.time();
  await setter.alarms.set("meanwhile", now + 400, nothing);
  await setter.alarms.set("cancelled", now + 400, nothing);
  await setter.alarms.set("later", now + 2_500, nothing);
  await setter.alarms.cancel("cancelled");

  await server.kill();
  await eventually("the first is due", () => Date.now() > now + 400);
  await server.restart();
  await heard.until((all) => all.includes("later"));

  expect(heard.items).toEqual(["meanwhile", "later"]);
});

test("nothing is left of alarms that were heard, replaced or cancelled", async ({ server, open, namespace }) => {
  const ports = await open(server.url);
  const heard = await listen(ports);
  const keys = Array.from({ length: 50 }, (_, index) => `key-${index}`);
  const farOff = (await ports.records.time()) + 3_600_000;

  for (const dueAt of [farOff, farOff, 0]) await Promise.all(keys.map((key) => ports.alarms.set(key, dueAt, nothing)));
  await Promise.all(keys.map((key) => ports.alarms.set(`${key}-cancelled`, farOff, nothing)));
  expect(await stored(server.url, namespace)).toBeGreaterThanOrEqual(keys.length);
  await Promise.all(keys.map((key) => ports.alarms.cancel(`${key}-cancelled`)));
  await heard.until((all) => new Set(all).size === keys.length);

  expect(await eventually("the stream is empty", async () => (await stored(server.url, namespace)) === 0)).toBe(true);
});

test("many that set and listen first agree on one stream", async ({ server, open }) => {
  const processes = await Promise.all(Array.from({ length: 6 }, () => open(server.url)));
  const heard = new Heard<string>();

  await Promise.all(
    processes.map(async ({ alarms }, index) => {
      await alarms.set(`key-${index}`, 0, nothing);
      await alarms.listen(async ({ key }) => heard.hear(key));
    }),
  );
  const keys = await heard.until((all) => all.length === processes.length);

  expect(keys.toSorted()).toEqual(processes.map((_, index) => `key-${index}`));
});

test("a handler that is running when its process is closed loses the alarm to another process", async ({
  server,
  open,
}) => {
  const [victim, other] = [await open(server.url), await open(server.url)];
  const taken = new Heard<string>();
  await victim.alarms.listen(async ({ key }) => {
    taken.hear(key);
    await new Promise(() => undefined);
  });
  await victim.alarms.set("held", 0, nothing);
  await taken.until((all) => all.length === 1);
  await victim.close();

  const heard = await listen(other);

  expect(await heard.until((all) => all.length > 0)).toEqual(["held"]);
});

test("a full store refuses an alarm with STORE_FULL", async ({ start, open }) => {
  const server = await start({ maxFileStoreBytes: 4 * 1_048_576 });
  const { alarms, records } = await open(server.url);
  const farOff = (await records.time()) + 3_600_000;
  const fill = async (): Promise<void> => {
    for (let index = 0; index < 20; index++) await alarms.set(`key-${index}`, farOff, new Uint8Array(500_000));
  };

  await expect(fill()).rejects.toMatchObject({ code: "STORE_FULL", kind: "unavailable" });
});

test("while the server is away an alarm is not set: UnavailableError", async ({ start, open }) => {
  const server = await start();
  const { alarms, bus } = await open(server.url);
  await alarms.set("first", 0, nothing);
  const statuses = new Heard<string>();
  bus.onStatus(statuses.hear);

  await server.kill();
  await statuses.until((all) => all.includes("disconnected"));
  const attempts = [alarms.set("key", 0, nothing), alarms.cancel("key"), alarms.listen(async () => undefined)];
  const outcomes = await Promise.allSettled(attempts);
  await server.restart();

  expect(outcomes).toMatchObject(
    outcomes.map(() => ({ status: "rejected", reason: { code: "NATS_UNREACHABLE", kind: "unavailable" } })),
  );
});

test("the node of docker/nats/permissions.conf may do all that alarms need", async ({ start }) => {
  for (const role of ["NODE", "AGENT", "PLAIN", "CLIENT", "ADMIN"]) vi.stubEnv(`ERGON_${role}_PASSWORD`, "p");
  const server = await start({ include: path.join(root, "docker/nats/permissions.conf") });
  vi.unstubAllEnvs();
  const options = { servers: server.url.replace("nats://", "nats://node:p@"), inboxPrefix: "_INBOX_node" };
  const complaints: unknown[] = [];
  const logger = { ...silentLogger, warn: (fields: object) => void complaints.push(fields) };
  const ports = await openNats(await connectNats(options, { logger }), { namespace: "default", commitMode: "grouped" });
  const heard = new Heard<string>();
  let failures = 0;

  await ports.alarms.set("cancelled", 0, nothing);
  await ports.alarms.cancel("cancelled");
  await ports.alarms.set("key", 0, nothing);
  await ports.alarms.listen(async ({ key }) => {
    if (failures++ === 0) throw new Error("not yet");
    heard.hear(key);
  });
  await heard.until((all) => all.length > 0);
  const admin = server.url.replace("nats://", "nats://admin:p@");
  await eventually("it is acknowledged", async () => (await stored(admin, "default")) === 0);
  await ports.close();

  expect(heard.items).toEqual(["key"]);
  expect(complaints).toEqual([]);
});

test("a stream of somebody else's with the name is not touched", async ({ server, open, namespace }) => {
  const { alarms } = await open(server.url);
  const link = await connectNats({ servers: server.url });
  const name = `ergon_${namespace}_alarms`;
  await link.api.demand(`STREAM.CREATE.${name}`, { name, subjects: [`theirs.${namespace}`], storage: "file" });
  await link.close();

  await expect(alarms.set("key", 0, nothing)).rejects.toThrow(/exists and is not one of Ergon's/);
});
