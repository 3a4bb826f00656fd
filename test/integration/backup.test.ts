import { cp, rm } from "node:fs/promises";

import type { AgentOptions } from "@ergon/agents";
import {
  RetryableError,
  defineMachine,
  describePlan,
  plan,
  type Client,
  type MachineView,
  type TaskView,
} from "@ergon/core";
import { describe, expect } from "vitest";
import { setup } from "xstate";

import { createLocal, type Local } from "../support/cluster-local.ts";
import { eventually } from "../support/eventually.ts";
import { backUp, deleteKeys, isLeases, restore } from "../support/jetstream-backup.ts";
import { test as base } from "../support/nats-fixtures.ts";
import type { TestServer } from "../support/nats-server.ts";

interface Fixtures {
  /** Nodes, agents and clients on a server; all are stopped after the test. */
  readonly on: (server: TestServer) => Local;
}

const test = base.extend<Fixtures>({
  on: async ({}, use) => {
    const stops: (() => Promise<void>)[] = [];
    await use((server) => {
      const { local, stop } = createLocal(server.url, "default");
      stops.push(stop);
      return local;
    });
    for (const stop of stops) await stop();
  },
});

/** Waits a while, by a timer of its record, and ends. */
const patience = defineMachine(
  setup({ types: {} as { context: object } }).createMachine({
    id: "patience",
    context: {},
    initial: "waiting",
    states: { waiting: { after: { 3_000: "over" } }, over: { type: "final" } },
  }),
);

const LEASES = "ergon_default_leases";
const batchIds = Array.from({ length: 10 }, (_, index) => `batch-${index}`);

/** How a namespace goes from one server to another that is new, as docs/operations.md has it. */
const ways: readonly {
  readonly how: string;
  readonly take: (server: TestServer) => Promise<(other: TestServer) => Promise<void>>;
}[] = [
  {
    how: "archives of the streams",
    take: async (server) => {
      const backups = await backUp(server.url);
      return async (other) => {
        await restore(other.url, backups);
        await deleteKeys(other.url, LEASES, "mark");
      };
    },
  },
  {
    how: "a copy of the server's files",
    take: async (server) => {
      await server.kill();
      return async (other) => {
        await other.kill();
        await rm(other.storeDir, { recursive: true });
        await cp(server.storeDir, other.storeDir, { recursive: true });
        await other.restart();
      };
    },
  },
];

describe("nothing that was acknowledged before a backup is missing after a restore", () => {
  test.for(ways)("from $how", { timeout: 60_000 }, async ({ take }, { on, start }) => {
    const server = await start();
    const before = on(server);
    await before.node({ machines: [patience] });
    const seen: string[] = [];
    await before.agent(work(seen, "first"));
    const client = await before.client();
    const { notBefore } = await storeOneOfEach(client);
    await eventually("the attempt runs, and the other task waits for its next one", async () => {
      return seen.includes("running") && (await client.get("retrying")).status === "retrying";
    });

    const put = await take(server);
    const other = await start();
    await put(other);

    const after = on(other);
    await after.node({ machines: [patience] });
    await after.agent(work([], "second"));
    await after.agent({ driver: "later", handler: ({ payload }) => payload });
    const restored = await after.client();
    const end = (id: string): Promise<TaskView> => restored.wait(id, { timeoutMs: 30_000 });
    const instance = (id: string): Promise<MachineView> => restored.instance(id).wait({ timeoutMs: 30_000 });

    expect(await end("waiting")).toMatchObject({ status: "succeeded", response: { text: "waiting" } });
    for (const id of batchIds) expect(await end(id)).toMatchObject({ status: "succeeded", correlationId: "batch" });
    expect(await end("running")).toMatchObject({ status: "succeeded", response: { text: "second" }, lost: 1 });
    expect(await end("retrying")).toMatchObject({ status: "succeeded", failures: 1 });
    expect(await restored.get("ended")).toMatchObject({ status: "succeeded", response: { text: "first" } });
    const delayed = await end("delayed");
    expect(delayed.status).toBe("succeeded");
    expect(Date.parse(delayed.startedAt ?? "")).toBeGreaterThanOrEqual(notBefore);
    expect(await instance("patient")).toMatchObject({ status: "succeeded", state: "over" });
    expect(await instance("plan")).toMatchObject({ status: "succeeded", counts: { succeeded: 2 } });
    expect(await instance("once")).toMatchObject({ status: "succeeded", output: { started: 1, succeeded: 1 } });
    expect(await instance("beat")).toMatchObject({ status: "succeeded", output: { started: 3, succeeded: 3 } });
    expect(await restored.instance("paused").get()).toMatchObject({ status: "running", state: "paused" });
    // Its retention was over before the restore, and expired messages are not restored.
    await expect(restored.get("forgotten")).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  });
});

test("a restore brings the tasks back as they were when their bucket was archived, once the marks of later are deleted", async ({
  on,
  start,
}) => {
  const server = await start();
  const before = on(server);
  const node = await before.node();
  const client = await before.client();
  await client.submit({ driver: "later", id: "ended-later", text: "x" });
  const tasks = await backUp(server.url, (stream) => !isLeases(stream));
  await before.agent({ driver: "later", handler: () => "before" });
  await client.wait("ended-later");
  await client.run({ driver: "later", id: "came-later", text: "x" });
  // A node that stops leaves a mark for each of its shards: where the next owner begins to read.
  await node.stop();
  const leases = await backUp(server.url, isLeases);

  const other = await start();
  await restore(other.url, [...tasks, ...leases]);
  const marks = await deleteKeys(other.url, LEASES, "mark");
  const after = on(other);
  await after.node();
  await after.agent({ driver: "later", handler: () => "after" });
  const restored = await after.client();

  expect(marks).toBeGreaterThan(0);
  expect((await restored.response("ended-later", { timeoutMs: 10_000 })).text()).toBe("after");
  await expect(restored.get("came-later")).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
});

/** One thing of each kind that can be pending, and what has ended. */
async function storeOneOfEach(client: Client): Promise<{ readonly notBefore: number }> {
  await client.run({ driver: "work", id: "forgotten", text: "x", retention: "1s" });
  await client.run({ driver: "work", id: "ended", text: "x" });
  await client.submit({ driver: "later", id: "waiting", text: "waiting" });
  await client.submit({ driver: "work", id: "running", text: "hold", attemptTimeout: "10m" });
  await client.submit({ driver: "work", id: "retrying", text: "fail", retry: { initial: "3s", jitter: 0 } });
  await client.batch({
    tasks: batchIds.map((id) => ({ driver: "later", id, text: id })),
    correlationId: "batch",
  });
  const delayed = await client.submit({ driver: "work", id: "delayed", text: "x", delay: "3s" });
  await client.start("patience", undefined, { id: "patient" });
  const steps = [
    { driver: "work", text: "x" },
    { driver: "later", text: "x" },
  ];
  const two = await client.plan(plan(steps), { id: "plan" });
  await eventually("its second step waits", async () => {
    const { counts } = describePlan(await two.get());
    return counts.running === 1 && counts.succeeded === 1;
  });
  const task = { driver: "work", text: "x" };
  const kept = { retention: "1h" };
  await client.schedule({ id: "once", after: "3s", task }, kept);
  const catchUp = { limit: 10 };
  const start = Date.now() + 3_000;
  await client.schedule({ id: "beat", every: "1s", start, runs: 3, overlap: "allow", catchUp, task }, kept);
  const paused = await client.schedule({ id: "paused", every: "1h", task }, kept);
  await paused.send({ type: "pause" });
  return { notBefore: Date.parse((await delayed.get()).notBefore ?? "") };
}

/** Answers its name; fails, or goes on for ever, when the task asks for that and `name` is the first agent's. */
function work(seen: string[], name: string): AgentOptions {
  return {
    driver: "work",
    concurrency: 20,
    handler: async (attempt) => {
      seen.push(attempt.taskId);
      if (name === "first" && attempt.text() === "fail") throw new RetryableError("NOT_YET", "not yet");
      if (name === "first" && attempt.text() === "hold") await attempt.sleep(600_000);
      return name;
    },
  };
}
