import { connect as connectTcp } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { expect, test as base } from "vitest";

import { createLocal, type Local } from "../support/cluster-local.ts";
import { startProxy } from "../support/cluster-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { uniqueNamespace } from "../support/nats-fixtures.ts";
import { startTestServer, type TestServer, type TestServerOptions } from "../support/nats-server.ts";

/** A server of the test's own: what happens to it happens to nobody else. */
const test = base.extend<{ begin: (options?: TestServerOptions) => Promise<{ own: TestServer; local: Local }> }>({
  begin: async ({}, use) => {
    const stops: (() => Promise<void>)[] = [];
    await use(async (options) => {
      const own = await startTestServer(options);
      const { local, stop } = createLocal(own.url, uniqueNamespace());
      stops.push(stop, () => own.stop());
      return { own, local };
    });
    for (const stop of stops) await stop();
  },
});

const outage = async (
  begin: (options?: TestServerOptions) => Promise<{ own: TestServer; local: Local }>,
  goneMs: number,
) => {
  const { own, local } = await begin();
  await local.node({ sessionTtlMs: 1_000 });
  const client = await local.client({ timeoutMs: goneMs + 20_000 });
  const told: string[] = [];
  let runs = 0;
  await local.agent({
    driver: "work",
    cutOffMs: 500,
    handler: async (attempt) => {
      runs++;
      if (attempt.text() === "long" && attempt.number === 1) {
        await attempt.sleep(600_000).catch((error: unknown) => {
          told.push(String((error as { reason?: unknown }).reason));
          throw error;
        });
      }
      return attempt.payload;
    },
  });
  const waiting = await client.submit({ driver: "work", text: "later", delay: 300 });
  const long = await client.submit({ driver: "work", text: "long" });
  await eventually("the long one at work", async () => (await client.get(long.id)).status === "started");

  await own.kill();
  const during = client.run({ driver: "work", text: "submitted while it was gone" });
  await eventually("the handler stopped by itself", () => told.length === 1);
  await pause(goneMs);
  await own.restart();

  const responses = await Promise.all([waiting.response(), long.response(), during]);
  return { texts: responses.map((response) => response.text()), told, runs };
};

/** Each task has its answer; the long one ran twice, since its first attempt was told that it counts as lost. */
const gotOver = { texts: ["later", "long", "submitted while it was gone"], told: ["lost"], runs: 4 };

test("NATS gone for longer than a lease: work stops by itself, then everything continues and ends once (M-11)", async ({
  begin,
}) => {
  expect(await outage(begin, 1_500)).toEqual(gotOver);
});

const soak = process.env["ERGON_TEST_SOAK"] === undefined ? "set ERGON_TEST_SOAK to run what takes minutes" : undefined;

test("NATS gone for a minute (M-11)", { timeout: 120_000 }, async ({ begin, skip }) => {
  if (soak !== undefined) skip(soak);
  expect(await outage(begin, 60_000)).toEqual(gotOver);
});

test("NATS that stands still for a moment loses and doubles nothing", async ({ begin }) => {
  const { own, local } = await begin();
  await local.node();
  const client = await local.client({ timeoutMs: 20_000 });
  const runs: string[] = [];
  await local.agent({
    driver: "work",
    handler: ({ taskId, payload }) => {
      runs.push(taskId);
      return payload;
    },
  });
  await client.run({ driver: "work" });

  own.pause();
  const pending = Promise.all(
    Array.from({ length: 20 }, (_, index) => client.run({ driver: "work", text: `${index}` })),
  );
  await pause(700);
  own.resume();

  expect((await pending).map((response) => response.text())).toEqual(
    Array.from({ length: 20 }, (_, index) => `${index}`),
  );
  expect(new Set(runs).size).toBe(runs.length);
});

test.each([15, 35, 100])(
  "a node %i ms away from NATS, each way, starts no task that nobody has, however often it asks, and gives it to the agent that comes",
  { timeout: 60_000 },
  async (distanceMs) => {
    const own = await startTestServer();
    const { hostname: host, port } = new URL(own.url);
    const proxy = await startProxy({ host, port: Number(port) });
    proxy.distanceMs = distanceMs;
    const { local, stop } = createLocal(own.url, uniqueNamespace());
    await local.node({ nats: { servers: proxy.url } });
    const client = await local.client({ timeoutMs: 20_000 });
    const subject = local.names.plainAgent("later");

    const offers = [1, 2, 3, 4];
    let offered = proxy.hold({ when: "after", match: (frame) => frame.subject === subject });
    const submitted = client.submit({ driver: "later", attemptTimeout: "500ms", retry: { maxAttempts: 1 } });
    for (const offer of offers) {
      await offered;
      if (offer < offers.length) offered = proxy.hold({ when: "after", match: (frame) => frame.subject === subject });
      proxy.release();
    }
    const task = await submitted;
    await local.agent({ driver: "later", handler: () => "done" });

    expect((await task.response()).text()).toBe("done");
    const { failures, history } = await task.get();
    expect(failures).toBe(0);
    expect(history.map(({ status }) => status)).toEqual(["scheduled", "started", "succeeded"]);
    await stop();
    await proxy.stop();
    await own.stop();
  },
);

test("a full disk refuses submits with the server's reason, acknowledges nothing that is not stored, and is got over (I-7)", async ({
  begin,
}) => {
  const { own, local } = await begin({ maxFileStoreBytes: 2_000_000 });
  await local.node();
  const client = await local.client({ timeoutMs: 300 });
  const payload = Buffer.alloc(200_000, 1);
  const accepted: string[] = [];
  let refusal: unknown;
  for (let index = 0; refusal === undefined && index < 40; index++) {
    await client.submit({ driver: "work", id: `t${index}`, payload }).then(
      ({ id }) => accepted.push(id),
      (error: unknown) => (refusal = error),
    );
  }

  expect(refusal).toMatchObject({
    code: "STORE_FULL",
    kind: "unavailable",
    message: expect.stringContaining("server refused"),
  });
  expect(accepted.length).toBeGreaterThan(3);
  await expect(client.get(`t${accepted.length}`)).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  for (const id of accepted) expect(await client.get(id)).toMatchObject({ id, payloadBytes: payload.length });

  await own.kill();
  await own.restart({ maxFileStoreBytes: 100_000_000 });
  const patient = await local.client({ timeoutMs: 20_000 });
  await local.agent({ driver: "work", handler: ({ payload: { length } }) => `${length}` });

  for (const id of accepted) expect((await patient.response(id)).text()).toBe(`${payload.length}`);
  expect((await patient.run({ driver: "work", payload })).text()).toBe(`${payload.length}`);
});

test("a subscriber that listens to everything and reads nothing slows nobody down", async ({ begin }) => {
  const { own, local } = await begin({ configuration: { max_pending: 1_048_576, write_deadline: "500ms" } });
  await local.node();
  const client = await local.client();
  await local.agent({ driver: "work", handler: ({ payload }) => payload });
  const socket = connectTcp(Number(new URL(own.url).port), "127.0.0.1");
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => undefined);
  socket.write("CONNECT {}\r\nSUB > 1\r\nPING\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  socket.pause();

  const text = "x".repeat(20_000);
  const responses = await Promise.all(Array.from({ length: 300 }, () => client.run({ driver: "work", text })));
  socket.resume();
  await closed;

  expect(responses.every((response) => response.data.length === text.length)).toBe(true);
});
