// What any client may send: bodies, headers, plans and rules that are made to hold a node up, to fill its memory, or to break what follows.
import { defineMachine, machine } from "@ergon/core";
import { H, JSON_TYPE, MSGPACK_TYPE, decodeError } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";
import { assign, createMachine, emit, setup } from "xstate";

import { createMemoryCluster, type MemoryCluster, type MemoryClusterOptions } from "../support/memory-cluster.ts";

const keeper = defineMachine(
  createMachine({
    id: "keeper",
    context: { value: undefined as unknown, count: 0 },
    on: {
      KEEP: { actions: assign({ value: ({ event }) => (event as unknown as { value: unknown }).value }) },
      COUNT: { actions: assign({ count: ({ context }) => (context["count"] as number) + 1 }) },
      LOUD: {
        actions: [
          assign({ count: ({ context }) => (context["count"] as number) + 1 }),
          emit(() => ({ type: "loud", text: "x".repeat(70_000) })),
        ],
      },
    },
  }),
);

/** Starts one like itself, for ever. */
const copier = defineMachine(
  setup({ actors: { copier: machine("copier") } }).createMachine({
    id: "copier",
    initial: "copying",
    states: {
      copying: { invoke: { src: "copier", onDone: "done", onError: "refused" } },
      done: { type: "final" },
      refused: { type: "final" },
    },
  }),
);

interface Stage {
  readonly cluster: MemoryCluster;
  /** Sends a body as a client that knows nothing of Ergon, and tells the error in the reply. */
  readonly ask: (
    subject: string,
    body: unknown,
    headers?: Record<string, string>,
  ) => Promise<{ readonly code?: string | undefined; readonly message: string; readonly issues: readonly unknown[] }>;
}

async function stage(options: MemoryClusterOptions = {}): Promise<Stage> {
  const cluster = createMemoryCluster({ machines: [keeper, copier], ...options });
  await cluster.addNodes("n1", "n2");
  await cluster.addAgent("a1");
  const { bus } = cluster.connect("stranger");
  return {
    cluster,
    ask: async (subject, body, headers = {}) => {
      const data =
        body instanceof Uint8Array ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
      const given = { [H.contentType]: JSON_TYPE, ...headers };
      const reply = await cluster.drive(bus.request(subject, data, { headers: given, timeoutMs: 5_000 }));
      return decodeError(reply) ?? { message: "", issues: [] };
    },
  };
}

const lists = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
const packedLists = (levels: number): Uint8Array => Buffer.concat([Buffer.alloc(levels, 0x91), Buffer.from([0xc0])]);

describe("a body that is very deep", () => {
  test.for<[what: string, subject: (names: MemoryCluster["names"]) => string, body: (deep: string) => string]>([
    ["an input", (names) => names.start("keeper"), (deep) => deep],
    ["an event", (names) => names.verb("send", "k"), (deep) => `{"type":"KEEP","value":${deep}}`],
    ["a plan", (names) => names.start("plan"), (deep) => `{"steps":[{"driver":"work","payload":${deep}}]}`],
    ["a plan's output", (names) => names.start("plan"), (deep) => `{"steps":[{"driver":"work"}],"output":${deep}}`],
    ["a rule", (names) => names.start("plan"), (deep) => `{"steps":[{"driver":"work","when":${deep}}]}`],
    ["a schedule", (names) => names.start("schedule"), (deep) => `{"every":1000,"machine":"keeper","input":${deep}}`],
    ["a batch", (names) => names.batch, (deep) => `{"tasks":[{"driver":"work","payload":${deep}}]}`],
  ])("a body that is very deep is refused as %s, and nothing is stored", async ([, subject, body]) => {
    const { cluster, ask } = await stage();
    const client = cluster.client();
    const instance = await cluster.drive(client.start("keeper", undefined, { id: "k" }));
    for (const levels of [600, 3_000, 100_000])
      expect(await ask(subject(cluster.names), body(lists(levels)))).toMatchObject({ code: "INVALID_BODY" });
    const { tasks } = await cluster.drive(client.list({}));
    expect(tasks).toHaveLength(1);
    expect(await cluster.drive(instance.send({ type: "COUNT" }))).toMatchObject({ context: { count: 1 } });
  });

  test("a body that is very deep but may be read is refused where it cannot be stored", async () => {
    const { cluster, ask } = await stage();
    await cluster.drive(cluster.client().start("keeper", undefined, { id: "k" }));
    const { names } = cluster;
    const refusal = { code: "NOT_SERIALISABLE" };
    expect(await ask(names.start("keeper"), lists(300))).toMatchObject(refusal);
    expect(await ask(names.verb("send", "k"), `{"type":"KEEP","value":${lists(300)}}`)).toMatchObject(refusal);
  });

  test("a body that is very deep is refused in MessagePack", async () => {
    const { cluster, ask } = await stage();
    for (const levels of [600, 3_000, 100_000]) {
      const headers = { [H.contentType]: MSGPACK_TYPE };
      expect(await ask(cluster.names.start("keeper"), packedLists(levels), headers)).toMatchObject({
        code: "INVALID_BODY",
      });
    }
  });

  test("a response that is very deep reaches its reader as a text", async () => {
    const { cluster } = await stage();
    const payload = Buffer.from(lists(3_000));
    const client = cluster.client();
    const task = await cluster.drive(client.submit({ driver: "work", payload, contentType: JSON_TYPE }));
    expect(await cluster.drive(task.wait())).toMatchObject({ status: "succeeded" });
    expect(await cluster.drive(client.get(task.id))).toMatchObject({ status: "succeeded" });
  });
});

test("40,000 faults, and one with a very long name, are told as far as a message has room", async () => {
  const { cluster, ask } = await stage();
  const steps = Array.from({ length: 10_000 }, () => ({ driver: "a", x1: 1, x2: 2, x3: 3, x4: 4 }));
  const many = await ask(cluster.names.start("plan"), { steps }, { [H.id]: "bad" });
  expect(many).toMatchObject({ code: "UNKNOWN_OPTION", issues: { length: 50 } });
  expect(many.message).toContain("(and 39999 more)");
  const long = await ask(cluster.names.start("plan"), { steps: [{ driver: "a", ["x".repeat(900_000)]: 1 }] });
  expect(long).toMatchObject({ code: "UNKNOWN_OPTION" });
});

test.for([
  [H.until, "what"],
  [H.wait, "soon"],
] as const)("an event with a faulty %s is refused before it is taken", async ([header, value]) => {
  const { cluster, ask } = await stage();
  const instance = await cluster.drive(cluster.client().start("keeper", undefined, { id: "k" }));
  const headers = { [header]: value };
  expect(await ask(cluster.names.verb("send", "k"), { type: "COUNT" }, headers)).toMatchObject({
    code: "INVALID_OPTION",
  });
  expect(await cluster.drive(instance.get())).toMatchObject({ context: { count: 0 } });
});

test("a sender is answered although the instance emits an event that is too large to publish", async () => {
  const { cluster, ask } = await stage({ maxMessageBytes: 64_000 });
  const instance = await cluster.drive(cluster.client().start("keeper", undefined, { id: "k" }));
  expect(await ask(cluster.names.verb("send", "k"), { type: "LOUD" })).toMatchObject({ message: "" });
  expect(await cluster.drive(instance.get())).toMatchObject({ context: { count: 1 } });
});

test("a flood of events for one instance is taken as far as it can be held: each one is stored, or refused", async () => {
  const { cluster } = await stage();
  const instance = await cluster.drive(cluster.client().start("keeper", undefined, { id: "k" }));
  const { bus } = cluster.connect("flood");
  const event = Buffer.from(JSON.stringify({ type: "COUNT" }));
  const replies = await cluster.drive(
    Promise.all(
      Array.from({ length: 3_000 }, () => bus.request(cluster.names.verb("send", "k"), event, { timeoutMs: 60_000 })),
    ),
  );
  const codes = replies.map((reply) => decodeError(reply)?.code);
  const taken = codes.filter((code) => code === undefined).length;
  expect(codes.filter((code) => code === "OVERLOADED")).toHaveLength(3_000 - taken);
  expect(taken).toBeLessThan(3_000);
  expect(await cluster.drive(instance.send({ type: "COUNT" }))).toMatchObject({ context: { count: taken + 1 } });
});

test("a schedule whose runs do not fit into its record fails, and it is that which is stored", async () => {
  const refused: string[] = [];
  const { cluster } = await stage({
    maxMessageBytes: 256_000,
    onLog: (line) => line.includes("the store refuses") && refused.push(line),
  });
  const client = cluster.client();
  const input = "x".repeat(10_000);
  const spec = { every: "1m", overlap: "allow", catchUp: { limit: 50 }, machine: "keeper", input } as const;
  const schedule = await cluster.drive(client.schedule(spec, { retention: "1h" }));
  for (const node of cluster.nodes) node.pause();
  await cluster.clock.advance(3_000_000);
  for (const node of cluster.nodes) node.resume();
  await cluster.clock.advance(60_000);
  expect(refused).toEqual([]);
  expect(await cluster.drive(schedule.get())).toMatchObject({
    status: "failed",
    failure: { code: "RECORD_TOO_LARGE" },
  });
});

test("a machine that starts itself comes to an end", async () => {
  const { cluster } = await stage();
  const first = await cluster.drive(cluster.client().start("copier", undefined, { id: "c" }));
  expect(await cluster.drive(first.wait())).toMatchObject({ status: "succeeded", value: "done" });
  const { tasks } = await cluster.drive(cluster.client().list({ machine: "copier", all: true, limit: 1_000 }));
  expect(tasks).toHaveLength(101);
});

test.for<[fields: string, more: object]>([
  ["known.a", { known: { a: null } }],
  ["known.a", { known: { a: { status: "done" } } }],
  ["known.a", { known: { a: { status: "skipped", blocked: 1 } } }],
  ["known", { known: [] }],
  ["done", { known: {}, done: -1 }],
  ["done", { known: {}, done: "all" }],
  ["part", { known: {}, part: null }],
  ["part", { known: {}, part: { actor: "x", exports: 5 } }],
])("a plan to continue with whose %s is faulty is refused", async ([field, more]) => {
  const { cluster, ask } = await stage();
  const body = { definition: { steps: [{ id: "a", driver: "work" }] }, ...more };
  expect(await ask(cluster.names.start("plan"), body)).toMatchObject({ issues: [{ field }] });
});

test("a cron rule of any length is not read", async () => {
  const { cluster, ask } = await stage();
  const spec = { cron: `${"0-59,".repeat(10_000)}0 * * * *`, task: { driver: "work" } };
  expect(await ask(cluster.names.start("schedule"), spec)).toMatchObject({ issues: [{ field: "cron" }] });
});

test("a schedule whose runs could not be caught up with is refused when it is added", async () => {
  const { cluster, ask } = await stage();
  const spec = { every: "1m", overlap: "allow", machine: "keeper", input: "x".repeat(100_000) };
  expect(await ask(cluster.names.start("schedule"), { ...spec, catchUp: { limit: 50 } })).toMatchObject({
    issues: [{ field: "catchUp.limit" }],
  });
  expect(await ask(cluster.names.start("schedule"), { ...spec, catchUp: { limit: 5 } })).toMatchObject({ message: "" });
});
