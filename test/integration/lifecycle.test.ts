import { H, shardOf } from "@ergon/core/engine";
import type { Msg } from "nats";
import { expect } from "vitest";

import { test } from "../support/cluster-local.ts";
import { eventually } from "../support/eventually.ts";

test("a record says who works on it and until when, from its start on (B-60)", async ({ local }) => {
  await local.node();
  const client = await local.client();
  const task = await client.submit({ driver: "work", delay: 300 });
  const before = await client.get(task.id);
  const agent = await local.agent({ driver: "work", handler: (attempt) => attempt.sleep(60_000) });

  const during = await eventually("its start", async () => {
    const view = await client.get(task.id);
    return view.status === "started" ? view : undefined;
  });

  expect(before).toMatchObject({ status: "scheduled", failures: 0, attempt: 0 });
  expect(before.agent ?? before.deadline).toBeUndefined();
  expect(during).toMatchObject({ agent: agent.id, deadline: expect.any(String), failures: 0, attempt: 1 });
});

test("attempts that run too long are begun anew, and at the threshold the task fails and says so (B-62, B-63)", async ({
  local,
}) => {
  await local.node();
  const client = await local.client();
  const nats = await local.stranger();
  const events: string[] = [];
  nats.subscribe(local.names.event("task", "*", "*"), {
    callback: (_, { subject }) => events.push(subject.split(".")[4] ?? ""),
  });
  await nats.flush();
  const aborted: string[] = [];
  await local.agent({
    driver: "work",
    handler: (attempt) =>
      attempt.sleep(60_000).catch((error: unknown) => {
        aborted.push(`${attempt.number}`);
        throw error;
      }),
  });

  const task = await client.submit({ driver: "work", attemptTimeout: 150, retry: { maxAttempts: 2, initial: 0 } });
  const ended = await client.wait(task.id);

  expect(ended).toMatchObject({ status: "failed", failures: 2, attempt: 2, failure: { code: "ATTEMPT_TIMEOUT" } });
  await eventually("its events", () => events.includes("failed"));
  // A task that finds a free slot is stored as started, and never told of as scheduled.
  expect(events.filter((status) => status !== "scheduled")).toEqual(["started", "retrying", "started", "failed"]);
  await eventually("both handlers told", () => aborted.length === 2);
});

test("an answer after the deadline counts for nothing, though no other attempt has begun (B-64)", async ({ local }) => {
  await local.node();
  const client = await local.client();
  const nats = await local.stranger();
  const work: Msg[] = [];
  nats.subscribe(local.names.plainAgent("hand"), { queue: "ergon", callback: (_, task) => work.push(task) });
  await nats.flush();
  const task = await client.submit({
    driver: "hand",
    attemptTimeout: 200,
    retry: { initial: "1h", max: "1h", jitter: 0 },
  });
  const dispatch = await eventually("the task at the agent", () => work[0]);
  await eventually("its deadline", async () => (await client.get(task.id)).status === "retrying");

  const answer = await nats.request(dispatch.reply ?? "", "late");

  expect(answer.headers?.get(H.error)).toBe("ATTEMPT_STALE");
  expect(await client.get(task.id)).toMatchObject({ status: "retrying", failures: 1 });
});

test("no more run at once than the agent announced; the rest waits, says why, and none is lost (B-19, B-24, I-7)", async ({
  local,
}) => {
  await local.node();
  const client = await local.client();
  let running = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();
  await local.agent({
    driver: "gate",
    concurrency: 10,
    handler: async ({ payload }) => {
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
      return payload;
    },
  });

  const { tasks } = await client.batch({
    tasks: Array.from({ length: 1_500 }, (_, index) => ({ driver: "gate", text: `${index}` })),
  });
  await eventually("ten at work", () => running === 10);
  const waiting = await client.get(tasks.at(-1)?.id ?? "");
  gate.resolve();
  const responses = await Promise.all(tasks.map(async ({ id }) => (await client.response(id)).text()));

  expect(waiting).toMatchObject({ status: "scheduled", reason: "waiting for a free slot of 1 agent of driver gate" });
  expect(responses).toEqual(tasks.map((_, index) => `${index}`));
  expect(most).toBe(10);
});

test("a cancel ends a task in whichever phase, and its handler is told at once (M-9)", async ({ local }) => {
  await local.node();
  const client = await local.client();
  const stopped: string[] = [];
  await local.agent({
    driver: "long",
    handler: (attempt) =>
      attempt.sleep(60_000).catch((error: unknown) => {
        stopped.push(attempt.taskId);
        throw error;
      }),
  });
  const delayed = await client.submit({ driver: "long", delay: "1h" });
  const unserved = await client.submit({ driver: "nobody" });
  const running = await client.submit({ driver: "long" });
  await eventually("its start", async () => (await client.get(running.id)).status === "started");

  const cancelled = await Promise.all([delayed, unserved, running].map((task) => task.cancel({ reason: "enough" })));
  const ended = await Promise.all([delayed, unserved, running].map((task) => client.wait(task.id)));

  expect(cancelled).toHaveLength(3);
  expect(ended.map(({ status }) => status)).toEqual(["cancelled", "cancelled", "cancelled"]);
  expect(ended.map((task) => task.cancelled?.reason)).toEqual(["enough", "enough", "enough"]);
  expect(stopped).toEqual([running.id]);
});

test("a task that no agent serves says so, and fails at its limit (M-14)", async ({ local }) => {
  await local.node();
  const client = await local.client();

  const task = await client.submit({ driver: "nobody", queueTimeout: 300 });

  expect(await client.wait(task.id)).toMatchObject({
    status: "failed",
    failure: { code: "QUEUE_TIMEOUT", message: expect.stringContaining("no agent serves driver nobody") },
  });
});

test("two tasks on two nodes run at the same time, and observers see them only go forward (B-50, I-9)", async ({
  local,
}) => {
  for (let index = 0; index < 2; index++) await local.node();
  const client = await local.client();
  const owners = await eventually("both nodes share the shards", async () => {
    const { shards } = await client.shards();
    return new Set(shards.map(({ node }) => node)).size === 2 && shards;
  });
  const hostOf = (id: string): string | undefined => owners[shardOf(id, owners.length)]?.node;
  const together = Promise.withResolvers<void>();
  let here = 0;
  await local.agent({
    driver: "meet",
    concurrency: 20,
    handler: async () => {
      if (++here === 20) together.resolve();
      await together.promise;
    },
  });

  const tasks = await Promise.all(
    Array.from({ length: 20 }, (_, index) => client.submit({ driver: "meet", id: `meet-${index}` })),
  );
  const seen = await Promise.all(
    tasks.map(async ({ id }) => {
      const statuses: string[] = [];
      for await (const { status } of client.watch(id)) statuses.push(status);
      return statuses;
    }),
  );

  expect(new Set(tasks.map(({ id }) => hostOf(id))).size).toBe(2);
  const order = ["scheduled", "started", "succeeded"];
  for (const statuses of seen) {
    expect(statuses.at(-1)).toBe("succeeded");
    expect(statuses.map((status) => order.indexOf(status))).toEqual(
      statuses.map((status) => order.indexOf(status)).toSorted((a, b) => a - b),
    );
  }
});
