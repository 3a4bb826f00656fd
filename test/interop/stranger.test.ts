import { H } from "@ergon/core/engine";
import { connectNats } from "@ergon/core/nats";
import { Svcm } from "@nats-io/services";
import { headers, type Msg, type NatsConnection } from "nats";
import { expect } from "vitest";

import { test } from "../support/cluster-local.ts";
import { eventually } from "../support/eventually.ts";

/** Everything here goes over the classic `nats` package: any client can do everything (design, law 8). */
async function ask(
  nats: NatsConnection,
  subject: string,
  body: string | Uint8Array = "",
  options: Readonly<Record<string, string>> = {},
): Promise<{ readonly headers: Record<string, string>; readonly data: Uint8Array; readonly json: () => unknown }> {
  const sent = headers();
  for (const [name, value] of Object.entries(options)) sent.set(name, value);
  const reply = await nats.request(subject, body, { headers: sent, timeout: 5_000 });
  return read(reply);
}

function read(reply: Msg) {
  const got: Record<string, string> = {};
  for (const [name, values] of reply.headers ?? []) got[name] = values[0] ?? "";
  return { headers: got, data: reply.data, json: () => JSON.parse(reply.string()) as unknown };
}

test("a stranger submits, reads, cancels, retries and lists, and is told of every change", async ({ local }) => {
  await local.node();
  const { root } = local.names;
  const nats = await local.stranger();
  const events: string[] = [];
  nats.subscribe(`${root}.event.task.>`, { callback: (_, { subject }) => events.push(subject.slice(root.length + 1)) });
  nats.subscribe(`${root}.agent.double`, {
    queue: "ergon",
    callback: (_, task) => task.respond(String(2 * Number(task.string()))),
  });
  await nats.flush();

  const submitted = await ask(nats, `${root}.submit.double`, "21", { [H.id]: "one", [H.tags]: "red,blue" });
  const waited = await ask(nats, `${root}.wait.one`, "", { [H.wait]: "5s" });
  const raw = await ask(nats, `${root}.wait.one`, "", { [H.wait]: "5s", [H.answer]: "response" });
  const delayed = await ask(nats, `${root}.submit.double`, "4", { [H.id]: "two", [H.delay]: "1h" });
  const cancelled = await ask(nats, `${root}.cancel.two`, "", { [H.by]: "me", [H.reason]: "no need" });
  const again = await ask(nats, `${root}.retry.two`, "", { [H.wait]: "5s" });
  const list = await ask(nats, `${root}.cluster.list`, JSON.stringify({ all: true }));

  expect(submitted.headers).toMatchObject({
    [H.task]: "one",
    [H.status]: expect.stringMatching(/^(scheduled|started)$/),
  });
  expect(waited.headers).toMatchObject({ [H.status]: "succeeded", [H.final]: "true" });
  expect(waited.json()).toMatchObject({ id: "one", response: { text: "42" }, tags: ["red", "blue"] });
  expect(Buffer.from(raw.data).toString()).toBe("42");
  expect(delayed.json()).toMatchObject({ id: "two", status: "scheduled", attempt: 0 });
  expect(cancelled.json()).toMatchObject({ status: "cancelled", cancelled: { by: "me", reason: "no need" } });
  expect(again.json()).toMatchObject({ id: "two-r2", origin: "two", status: "succeeded", response: { text: "8" } });
  expect(list.json()).toMatchObject({ tasks: expect.arrayContaining([expect.objectContaining({ id: "one" })]) });
  await eventually("the last of the events", () => events.includes("event.task.succeeded.two-r2"));
  expect(events.filter((event) => event.endsWith(".two"))).toEqual([
    "event.task.scheduled.two",
    "event.task.cancelled.two",
  ]);
});

test("a watch sends the task, each change once, and its end last (B-35, B-38)", async ({ local }) => {
  await local.node();
  const { root } = local.names;
  const nats = await local.stranger();
  const news: Msg[] = [];
  nats.subscribe("news", { callback: (_, message) => news.push(message) });
  const work: Msg[] = [];
  nats.subscribe(`${root}.agent.slow`, { queue: "ergon", callback: (_, task) => work.push(task) });
  await nats.flush();
  await ask(nats, `${root}.submit.slow`, "x", { [H.id]: "seen" });
  const task = await eventually("the task at the agent", () => work[0]);
  await eventually("its start", async () => (await ask(nats, `${root}.get.seen`)).headers[H.status] === "started");

  nats.publish(`${root}.watch.seen`, "", { reply: "news" });
  await eventually("the task as it is", () => news.length === 1);
  task.respond("y");
  await eventually("its end", () => news.length === 2);

  expect(news.map((message) => read(message).headers[H.status])).toEqual(["started", "succeeded"]);
  expect(news.map((message) => read(message).headers[H.final])).toEqual(["false", "true"]);
});

test("a watch of an unknown task is answered once, with what is wrong (B-37)", async ({ local }) => {
  await local.node();
  const nats = await local.stranger();

  const answer = await ask(nats, `${local.names.root}.watch.nobody`);

  expect(answer.headers).toMatchObject({ [H.error]: "TASK_NOT_FOUND", [H.serviceErrorCode]: "404" });
});

test("the failure of a stranger's agent is the task's, by the micro-service convention (B-13)", async ({ local }) => {
  await local.node();
  const { root } = local.names;
  const nats = await local.stranger();
  nats.subscribe(`${root}.agent.bad`, {
    queue: "ergon",
    callback: (_, task) => {
      const failure = headers();
      failure.set("Nats-Service-Error-Code", "500");
      failure.set("Nats-Service-Error", "out of paper");
      task.respond("", { headers: failure });
    },
  });
  await nats.flush();

  const failed = await ask(nats, `${root}.submit.bad`, "x", { [H.wait]: "5s", [H.maxAttempts]: "1" });
  const raw = await ask(nats, `${root}.submit.bad`, "x", {
    [H.wait]: "5s",
    [H.maxAttempts]: "1",
    [H.answer]: "response",
  });

  expect(failed.json()).toMatchObject({
    status: "failed",
    failure: { code: "AGENT_FAILED", message: "out of paper" },
    endedAt: expect.any(String),
    durationMs: expect.any(Number),
  });
  expect(raw.headers).toMatchObject({ [H.error]: "AGENT_FAILED", [H.serviceError]: "out of paper" });
});

test("nats micro ls, info and stats find the nodes", async ({ local }) => {
  const node = await local.node();
  const link = await connectNats({ servers: local.url });
  const services = new Svcm(link.connection as never).client();

  const answers = { ping: [] as object[], info: [] as object[], stats: [] as object[] };
  for await (const answer of await services.ping("ergon-node", node.id)) answers.ping.push(answer);
  for await (const answer of await services.info("ergon-node", node.id)) answers.info.push(answer);
  for await (const answer of await services.stats("ergon-node", node.id)) answers.stats.push(answer);
  await link.close();

  expect(answers.ping).toMatchObject([{ name: "ergon-node", id: node.id, type: "io.nats.micro.v1.ping_response" }]);
  expect(answers.info).toMatchObject([{ endpoints: [{ name: "submit" }, { name: "batch" }] }]);
  expect(answers.stats).toMatchObject([{ started: expect.any(String) }]);
});
