import { connect as connectTcp } from "node:net";

import { H, JSON_TYPE, MSGPACK_TYPE, createNames, encodeBody, shardOf } from "@ergon/core/engine";
import { createInbox, headers, type Msg, type NatsConnection } from "nats";
import { describe, expect } from "vitest";

import { test as base, type Local } from "../support/cluster-local.ts";
import { eventually } from "../support/eventually.ts";

interface Refusal {
  readonly code: string | undefined;
  readonly status: number;
  readonly fields: readonly string[];
}

interface Stage {
  readonly local: Local;
  readonly nats: NatsConnection;
  readonly refusal: (subject: string, body?: string | Uint8Array, options?: Record<string, string>) => Promise<Refusal>;
}

const test = base.extend<{ stage: Stage }>({
  stage: async ({ local }, use) => {
    await local.node();
    const nats = await local.stranger();
    const { root } = local.names;
    await use({
      local,
      nats,
      refusal: async (subject, body = "", options = {}) => {
        const sent = headers();
        for (const [name, value] of Object.entries(options)) sent.set(name, value);
        return refusalOf(await nats.request(`${root}.${subject}`, body, { headers: sent, timeout: 2_000 }));
      },
    });
    // Whatever came: the node is alive, and takes the next task.
    const client = await local.client();
    await local.agent({ driver: "sound", handler: () => "and well" });
    expect((await client.run({ driver: "sound" })).text()).toBe("and well");
    expect(local.log.filter(({ level }) => level === "error")).toEqual([]);
  },
});

function refusalOf(reply: Msg): Refusal {
  const body = (reply.data.length === 0 ? {} : reply.json()) as { issues?: { field: string }[] };
  return {
    code: reply.headers?.get(H.error) || undefined,
    status: Number(reply.headers?.get(H.serviceErrorCode)),
    fields: (body.issues ?? []).map(({ field }) => field),
  };
}

const nothingStored = async ({ local }: Stage): Promise<void> => {
  const client = await local.client();
  expect((await client.list({ all: true })).tasks).toEqual([]);
};

describe("a submit with a fault is refused by field and code, and nothing is stored", () => {
  test.for<[fault: string, options: Record<string, string>, code: string, fields: string[]]>([
    ["an id with a blank", { [H.id]: "a b" }, "INVALID_ID", [H.id]],
    ["an id that is too long", { [H.id]: "x".repeat(129) }, "INVALID_ID", [H.id]],
    ["an option that does not exist", { "Ergon-Colour": "red" }, "UNKNOWN_OPTION", ["Ergon-Colour"]],
    ["a priority out of range", { [H.priority]: "11" }, "INVALID_OPTION", [H.priority]],
    ["half an attempt", { [H.maxAttempts]: "1.5" }, "INVALID_OPTION", [H.maxAttempts]],
    ["a duration in words", { [H.attemptTimeout]: "soon" }, "INVALID_OPTION", [H.attemptTimeout]],
    ["a retention under the least", { [H.retention]: "10ms" }, "INVALID_OPTION", [H.retention]],
    ["a negative delay", { [H.delay]: "-1s" }, "INVALID_OPTION", [H.delay]],
    ["a time that is none", { [H.notBefore]: "tomorrow" }, "INVALID_OPTION", [H.notBefore]],
    ["arguments that are not JSON", { [H.arguments]: "{" }, "INVALID_OPTION", [H.arguments]],
    ["an argument that is no text", { [H.arguments]: '{"a":1}' }, "INVALID_OPTION", [`${H.arguments}.a`]],
    ["a wait that is no duration", { [H.wait]: "soon" }, "INVALID_OPTION", [H.wait]],
    ["two faults", { [H.id]: "!", [H.priority]: "x" }, "INVALID_OPTION", [H.priority, H.id]],
    ["a wait beyond an hour", { [H.wait]: "2h" }, "INVALID_OPTION", [H.wait]],
    ["an answer of another kind", { [H.answer]: "no" }, "INVALID_OPTION", [H.answer]],
    ["a name in another case", { "ergon-id": "a" }, "UNKNOWN_OPTION", ["ergon-id"]],
  ])("%s", async ([, options, code, fields], { stage }) => {
    const refusal = await stage.refusal("submit.sound", "x", options);

    expect(refusal).toEqual({ code, status: 400, fields });
    await nothingStored(stage);
  });

  test("a driver that is no name", async ({ stage }) => {
    expect(await stage.refusal("submit.a!b", "x")).toEqual({ code: "INVALID_DRIVER", status: 400, fields: ["driver"] });
    await nothingStored(stage);
  });

  test("a payload over the limit, for the server or for a record", async ({ stage }) => {
    const most = stage.nats.info?.max_payload ?? 0;
    const client = await stage.local.client();

    const refusal = await stage.refusal("submit.sound", new Uint8Array(most - 20_000));
    const own = client.submit({ driver: "sound", payload: new Uint8Array(most + 1) });

    expect(refusal).toMatchObject({ code: "PAYLOAD_TOO_LARGE", status: 413 });
    await expect(own).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE", kind: "invalid" });
    await nothingStored(stage);
  });
});

describe("a batch with a fault stores nothing (B-4)", () => {
  const good = { driver: "sound" };
  test.for<[fault: string, body: string | Uint8Array, type: string, code: string, fields: string[]]>([
    ["no JSON", "{", JSON_TYPE, "INVALID_BODY", []],
    ["no MessagePack", new Uint8Array([0xc1, 0xff]), MSGPACK_TYPE, "INVALID_BODY", []],
    ["half of MessagePack", encodeBody({ tasks: [good] }, MSGPACK_TYPE).slice(0, 5), MSGPACK_TYPE, "INVALID_BODY", []],
    ["another type", "<tasks/>", "text/xml", "UNSUPPORTED_CONTENT_TYPE", []],
    ["nothing", "null", JSON_TYPE, "INVALID_BODY", []],
    ["no tasks", "{}", JSON_TYPE, "INVALID_BODY", []],
    ["an empty list", '{"tasks":[]}', JSON_TYPE, "BATCH_REJECTED", ["tasks"]],
    ["a task that is none", JSON.stringify({ tasks: [good, 7] }), JSON_TYPE, "BATCH_REJECTED", ["tasks[1]"]],
    [
      "faults in two tasks",
      JSON.stringify({ tasks: [good, { driver: "!" }, { ...good, colour: 1 }] }),
      JSON_TYPE,
      "BATCH_REJECTED",
      ["tasks[1].driver", "tasks[2].colour"],
    ],
    [
      "one id twice",
      JSON.stringify({
        tasks: [
          { ...good, id: "a" },
          { ...good, id: "a" },
        ],
      }),
      JSON_TYPE,
      "BATCH_REJECTED",
      ["tasks[1].id"],
    ],
  ])("%s", async ([, body, type, code, fields], { stage }) => {
    const refusal = await stage.refusal("batch", body, { [H.contentType]: type });

    expect(refusal).toEqual({ code, status: code === "UNSUPPORTED_CONTENT_TYPE" ? 415 : 400, fields });
    await nothingStored(stage);
  });
});

test("a request with a bad or unknown id, or with a bad body, is refused by its code (B-16, M-21)", async ({
  stage,
}) => {
  const codes = async (subjects: readonly string[], body = ""): Promise<unknown[]> =>
    Promise.all(subjects.map(async (subject) => (await stage.refusal(subject, body)).code));
  const verbs = ["get", "wait", "watch", "cancel", "retry", "end"];

  expect(await codes(verbs.map((verb) => `${verb}.a!b`))).toEqual(verbs.map(() => "INVALID_ID"));
  expect(await codes(verbs.map((verb) => `${verb}.nobody`))).toEqual(verbs.map(() => "TASK_NOT_FOUND"));
  expect(await codes(["cluster.list"], "{")).toEqual(["INVALID_BODY"]);
  expect(await codes(["cluster.list"], "7")).toEqual(["INVALID_BODY"]);
  expect(await codes(["cluster.list"], '{"limit":0}')).toEqual(["INVALID_OPTION"]);
  expect(await codes(["cluster.list"], '{"cursor":"!"}')).toEqual(["INVALID_OPTION"]);
  expect(await codes(["shard.0.dance.x", "shard.0.get.a!b", "shard.0.dance"])).toEqual([
    "INVALID_SUBJECT",
    "INVALID_ID",
    "INVALID_ID",
  ]);
  const { length: shards } = (await (await stage.local.client()).shards()).shards;
  const number = shardOf("x", shards);
  expect(await codes([`shard.${number}.admit.x`], "x")).toEqual(["INVALID_BODY"]);
  expect(await codes(["get", "admit", "dance"].map((verb) => `shard.${(number + 1) % shards}.${verb}.x`))).toEqual([
    "INVALID_SUBJECT",
    "INVALID_SUBJECT",
    "INVALID_SUBJECT",
  ]);
  expect(await codes(["cluster.dance"])).toEqual(["INVALID_SUBJECT"]);
});

test("a client's own checks say the same as the wire's (M-21)", async ({ stage }) => {
  const client = await stage.local.client();

  const errors = await Promise.all(
    [
      () => client.submit({ driver: "sound", id: "a b" }),
      () => client.submit({ driver: "sound", colour: "red" } as never),
      () => client.batch({ tasks: [{ driver: "!" }] }),
      () => client.get("a b"),
      () => client.get("nobody"),
    ].map((call) => call().catch((error: unknown) => error)),
  );

  expect(errors).toMatchObject([
    { name: "InvalidError", code: "INVALID_ID", issues: [{ field: "id" }] },
    { name: "InvalidError", code: "UNKNOWN_OPTION", issues: [{ field: "colour" }] },
    { name: "InvalidError", code: "BATCH_REJECTED", issues: [{ field: "tasks[0].driver" }] },
    { name: "InvalidError", code: "INVALID_ID", issues: [{ field: "id" }] },
    { name: "NotFoundError", code: "TASK_NOT_FOUND" },
  ]);
});

test("an id is good for one task: the same submit again is the same task, another one a conflict (M-7)", async ({
  stage,
}) => {
  const client = await stage.local.client();
  await stage.local.agent({ driver: "twice", handler: ({ number }) => `attempt ${number}` });
  const request = { driver: "twice", id: "mine", text: "a" };

  const thrice = await Promise.all([client.run(request), client.run(request), client.run(request)]);
  const later = await client.run(request);
  const other = client.submit({ ...request, text: "b" });

  expect([...thrice, later].map((response) => response.text())).toEqual(Array(4).fill("attempt 1"));
  await expect(other).rejects.toMatchObject({ name: "ConflictError", code: "ID_CONFLICT" });
  expect((await client.get("mine")).history.map(({ status }) => status)).toEqual(["scheduled", "started", "succeeded"]);
});

test("the ids of one namespace mean nothing in another", async ({ stage, server }) => {
  const elsewhere = `${stage.local.namespace}b`;
  const { createLocal } = await import("../support/cluster-local.ts");
  const { local: other, stop } = createLocal(server.url, elsewhere);
  await other.node();
  const client = await stage.local.client();
  await client.submit({ driver: "later", id: "mine", delay: "1h" });

  const found = await (await other.client()).get("mine").catch((error: unknown) => error);
  await stop();

  expect(found).toMatchObject({ code: "TASK_NOT_FOUND" });
  expect(await client.get("mine")).toMatchObject({ status: "scheduled" });
});

test("a response that no view of the task can hold is there as it is, and the view says what is wrong", async ({
  stage,
}) => {
  const client = await stage.local.client();
  const bytes = Buffer.alloc(900_000, 0xfe);
  await stage.local.agent({ driver: "large", handler: () => bytes });
  const task = await client.submit({ driver: "large" });

  const view = client.wait(task.id);
  const response = client.response(task.id);

  await expect(view).rejects.toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  expect(bytes.equals((await response).data)).toBe(true);
});

test("a response whose content type no header can hold does not stop the node", async ({ stage }) => {
  const { local, nats } = stage;
  const client = await local.client();
  const work: Msg[] = [];
  nats.subscribe(`${local.names.root}.agent.torn`, { queue: "ergon", callback: (_, task) => work.push(task) });
  await nats.flush();
  const response = client.run({ driver: "torn" }).catch((error: unknown) => error);
  const task = await eventually("the task at the agent", () => work[0]);
  const socket = connectTcp(Number(new URL(local.url).port), "127.0.0.1");
  const block = "NATS/1.0\r\nContent-Type: a\nb\r\n\r\n";

  socket.write(
    `CONNECT {"verbose":false,"headers":true}\r\nHPUB ${task.reply ?? ""} ${block.length} ${block.length}\r\n${block}\r\n`,
  );

  expect(await response).toMatchObject({ code: "INVALID_OPTION" });
  socket.destroy();
});

test("events for ended tasks and answers of stale attempts are refused, and change nothing (I-1, B-64)", async ({
  stage,
}) => {
  const { local, nats, refusal } = stage;
  const client = await local.client();
  const work: Msg[] = [];
  nats.subscribe(`${local.names.root}.agent.hand`, { queue: "ergon", callback: (_, task) => work.push(task) });
  await nats.flush();
  await client.submit({ driver: "hand", id: "t" });
  const task = await eventually("the task at the agent", () => work[0]);
  const answerTo = (attempt: string): string =>
    task.reply?.replace(/\.1$/, `.${attempt}`).slice(local.names.root.length + 1) ?? "";

  const stale = await Promise.all(["0", "2", "x", "-1"].map((attempt) => refusal(answerTo(attempt), "wrong")));
  const unknown = await refusal(answerTo("1"), "wrong", { [H.event]: "dance" });
  const unreadable = await refusal(answerTo("1"), "{", { [H.event]: "progress" });
  expect((await client.get("t")).status).toMatch(/scheduled|started/);
  const taken = await refusal(answerTo("1"), "right");
  const again = await refusal(answerTo("1"), "wrong");
  const decisions = await Promise.all(["cancel.t", "end.t", "retry.t"].map((subject) => refusal(subject)));

  expect(stale.map(({ code }) => code)).toEqual(Array(4).fill("ATTEMPT_STALE"));
  expect([unknown.code, unreadable.code]).toEqual(["INVALID_OPTION", "INVALID_BODY"]);
  expect(taken.code).toBeUndefined();
  expect(again.code).toBe("ATTEMPT_STALE");
  expect(decisions.map(({ code }) => code)).toEqual(["TASK_ENDED", "TASK_ENDED", "TASK_NOT_FAILED"]);
  expect(await client.get("t")).toMatchObject({ status: "succeeded", response: { text: "right" }, attempt: 1 });
});

test("noise on the subjects that nodes and agents use among themselves moves nobody (I-12)", async ({ stage }) => {
  const { local, nats } = stage;
  const client = await local.client();
  const agent = await local.agent({ driver: "calm", id: "calm-1", handler: ({ payload }) => payload });
  const [node] = await client.nodes();
  const { names } = local;
  const subjects = [
    names.presence,
    names.roll,
    names.owned(0),
    `${names.root}.owned.x`,
    names.nodeVerb(node?.id ?? "", "credit"),
    names.nodeVerb(node?.id ?? "", "list"),
    names.control(agent.id),
    names.agent("calm", agent.id),
    names.recorded(agent.id, "x.1"),
    names.shard(0, "release", "x"),
    names.shard(0, "discard", "x"),
    names.reply(0, "x", 1),
  ];
  const bodies = ["", "{", "null", "7", '{"agent":"calm-1","drivers":7}', new Uint8Array([0xc1])];

  for (const subject of subjects) {
    for (const body of bodies) {
      for (const type of [JSON_TYPE, MSGPACK_TYPE, "x/y"]) {
        const sent = headers();
        sent.set(H.contentType, type);
        sent.set(H.event, "reserve");
        nats.publish(subject, body, { headers: sent, reply: createInbox() });
      }
    }
  }
  await nats.flush();

  expect((await client.run({ driver: "calm", text: "still here" })).text()).toBe("still here");
  expect(await client.agents()).toMatchObject([{ id: "calm-1", state: "here" }]);
  // The adapter has logged what threw; nothing worse came of it.
  local.log.length = 0;
});

test("a header block that is none, sent past every client library, is answered as a submit without options", async ({
  stage,
}) => {
  const { port } = new URL(stage.local.url);
  const { root } = createNames(stage.local.namespace);
  const answers: Msg[] = [];
  stage.nats.subscribe("raw.>", { callback: (_, message) => answers.push(message) });
  await stage.nats.flush();
  const socket = connectTcp(Number(port), "127.0.0.1");
  const blocks = [
    "NATS/1.0\r\nno colon\r\n\r\n",
    "NATS/1.0\r\n: no name\r\n\r\n",
    "NATS/1.0\r\nErgon-Id\r\n\r\n",
    "NATS/1.0 999 what\r\n\r\n",
    "NATS/1.0\r\nErgon-Priority: \u0007\r\n\r\n",
  ];

  socket.write('CONNECT {"verbose":false,"headers":true}\r\n');
  for (const [index, block] of blocks.entries()) {
    const size = Buffer.byteLength(block);
    socket.write(`HPUB ${root}.submit.raw raw.${index} ${size} ${size + 1}\r\n${block}x\r\n`);
  }
  await eventually("an answer to each", () => answers.length === blocks.length);
  socket.destroy();

  const outcomes = answers
    .toSorted((a, b) => a.subject.localeCompare(b.subject))
    .map((answer) => answer.headers?.get(H.error) || answer.headers?.get(H.status));
  expect(outcomes).toEqual(["scheduled", "scheduled", "scheduled", "scheduled", "INVALID_OPTION"]);
});

test("plans, schedules and events that are made to hold a node up, or to break it, are refused", async ({ stage }) => {
  const { refusal } = stage;
  const lists = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  const steps = Array.from({ length: 10_000 }, () => ({ driver: "a", x1: 1, x2: 2, x3: 3, x4: 4 }));

  expect(await refusal("start.plan", JSON.stringify({ steps }))).toMatchObject({ code: "UNKNOWN_OPTION" });
  expect(await refusal("start.plan", `{"steps":[{"driver":"a","when":${lists}}]}`)).toMatchObject({
    code: "INVALID_BODY",
  });
  expect(await refusal("start.schedule", `{"every":"1m","machine":"a","input":${lists}}`)).toMatchObject({
    code: "INVALID_BODY",
  });
  expect(await refusal("send.nothing", `{"type":"A"}`, { [H.until]: "what" })).toMatchObject({
    code: "INVALID_OPTION",
  });
  expect(await refusal("start.plan", `{"steps":[{"driver":"a","when":{"valueOf":1}}]}`)).toMatchObject({
    fields: ["steps[0].when"],
  });

  await nothingStored(stage);
});
