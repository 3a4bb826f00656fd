// Records of which one value is wrong, as a bug, an operator or another program may leave them.
import { defineMachine, driver, isErgonError, machine } from "@ergon/core";
import { MSGPACK_TYPE, decodeBody, encodeBody, shardOf } from "@ergon/core/engine";
import { seededRandom } from "@ergon/core/testing";
import { describe, expect, test } from "vitest";
import { fromCallback, setup } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const SHARDS = 4;
const PER_SEED = 400;

const child = setup({}).createMachine({
  id: "child",
  initial: "on",
  states: { on: { on: { STOP: "off" } }, off: { type: "final" } },
});

/** Something of everything that a record can hold. */
const parent = setup({
  actors: {
    work: driver("work"),
    slow: driver("nobody"),
    alone: driver("nobody", { standalone: true }),
    child: machine("child"),
    inner: setup({}).createMachine({
      context: { n: 1 },
      initial: "a",
      states: { a: { after: { 50_000: "b" } }, b: {} },
    }),
    local: fromCallback(() => undefined),
  },
}).createMachine({
  id: "parent",
  context: { count: 0, list: [1, { deep: "x" }] },
  type: "parallel",
  states: {
    tasks: {
      invoke: [
        { src: "slow", id: "slow" },
        { src: "alone", id: "alone" },
        { src: "child", id: "kid" },
      ],
    },
    inside: { invoke: { src: "inner", id: "inner" }, initial: "x", states: { x: {}, h: { type: "history" } } },
    timed: { after: { 80_000: {} } },
    ran: { invoke: { src: "local", id: "local" } },
  },
});

const idle = setup({}).createMachine({
  id: "idle",
  context: { open: true },
  initial: "waiting",
  states: { waiting: { on: { GO: "gone" }, after: { 60_000: "gone" } }, gone: { type: "final" } },
});

const machines = [defineMachine(parent), defineMachine(child), defineMachine(idle)];

interface Template {
  readonly name: string;
  readonly id: string;
  readonly record: unknown;
}

/** The records of a cluster in which all kinds of things are under way. */
async function templates(): Promise<Template[]> {
  const cluster = createMemoryCluster({ shards: SHARDS, machines });
  const [node] = await cluster.addNodes("n1");
  await cluster.addAgent("a1", { handler: (attempt) => (attempt.text() === "stay" ? attempt.sleep(900_000) : "done") });
  const client = cluster.client();
  const all = { correlationId: "c", resource: "r", arguments: { a: "b" }, tags: ["t"], contentType: "text/plain" };
  await cluster.drive(
    Promise.all([
      client.submit({
        driver: "work",
        id: "src-delayed",
        delay: "20s",
        priority: 9,
        ...all,
        payload: Buffer.from("x"),
      }),
      client.submit({ driver: "work", id: "src-started", text: "stay", retry: { maxAttempts: 2, never: ["X"] } }),
      client.submit({ driver: "work", id: "src-ended", text: "x" }),
      client.submit({ driver: "nobody", id: "src-unserved", text: "x" }),
      client.start("parent", { a: 1 }, { id: "src-parent", tags: ["t"], correlationId: "c" }),
      client.start("idle", undefined, { id: "src-idle" }),
      client.schedule({ id: "src-cron", cron: "* * * * *", task: { driver: "work", text: "x" } }),
      client.schedule({ id: "src-every", every: "10s", overlap: "queue", task: { driver: "nobody" } }),
      client.plan(
        { steps: [{ driver: "work", text: "x", compensate: { driver: "work" } }, { driver: "nobody" }] },
        { id: "src-plan" },
      ),
      client.plan(
        {
          mode: "graph",
          steps: [
            { id: "a", driver: "nobody" },
            { id: "b", machine: "idle", dependsOn: ["a"] },
          ],
        },
        { id: "src-graph" },
      ),
    ]),
  );
  await cluster.clock.advance(15_000);
  node?.kill();
  const found: Template[] = [];
  const { records } = cluster.connect("reader");
  const ranges = Array.from({ length: SHARDS }, (_, shard) => ({ shard, after: 0, ids: [] }));
  await cluster.drive(
    records.load(ranges, (_, { id, data }) => {
      if (data.length === 0) return;
      found.push({ name: id.replace("src-", ""), id, record: decodeBody(data.subarray(1), MSGPACK_TYPE) });
    }),
  );
  return found.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return [path];
  const inner = Object.entries(value).flatMap(([key, one]) =>
    pathsOf(one, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return path.length === 0 ? inner : [path, ...inner];
}

const wrongs: readonly unknown[] = [
  undefined,
  null,
  5,
  -1,
  0.5,
  Number.NaN,
  1e300,
  "",
  "text",
  "a\r\nb: c",
  "a b.*.>",
  true,
  [],
  [null],
  [[]],
  {},
  { a: null },
  Buffer.from("bytes"),
];

function replaced(value: unknown, [key, ...rest]: Path, by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value)) return value.map((one: unknown, index) => (index === key ? replaced(one, rest, by) : one));
  const map = value as Record<string, unknown>;
  return { ...map, [key]: replaced(map[key], rest, by) };
}

/** The record as it would be under another id. */
function renamed(value: unknown, from: string, to: string): unknown {
  if (typeof value === "string")
    return value === from || value.startsWith(`${from}~`) || value.startsWith(`${from}=`)
      ? to + value.slice(from.length)
      : value;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map((one) => renamed(one, from, to));
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, renamed(one, from, to)]));
}

interface Poison {
  readonly id: string;
  readonly what: string;
  readonly data: Uint8Array;
}

function poisons(from: readonly Template[], chance: () => number): Poison[] {
  const one = <T>(items: readonly T[]): T => items[Math.floor(chance() * items.length)] as T;
  return Array.from({ length: PER_SEED }, (_, index) => {
    const template = one(from);
    const path = one(pathsOf(template.record));
    const wrong = one(wrongs);
    const id = `p${index}`;
    const record = replaced(renamed(template.record, template.id, id), path, wrong);
    const what = `${template.name}: ${path.join(".")} = ${String(JSON.stringify(wrong))}`;
    return { id, what, data: Buffer.concat([Buffer.of(1), encodeBody(record, MSGPACK_TYPE)]) };
  });
}

async function plant(cluster: MemoryCluster, records: readonly Poison[]): Promise<void> {
  const { records: store } = cluster.connect("planter");
  for (let shard = 0; shard < SHARDS; shard++) {
    const claim = await cluster.drive(store.claim(shard, undefined, 0));
    const fence = claim.kind === "claimed" ? claim.fence : 0;
    const writes = records
      .filter(({ id }) => shardOf(id, SHARDS) === shard)
      .map(({ id, data }) => ({ shard, id, data, fence }));
    expect((await cluster.drive(store.commit(writes))).kind).toBe("committed");
  }
}

/** Work in every shard is done. */
async function serves(cluster: MemoryCluster, round: string): Promise<void> {
  const client = cluster.client({ timeoutMs: 20_000 });
  const ids = Array.from({ length: SHARDS * 4 }, (_, index) => `good-${round}-${index}`);
  const runs = ids.map(async (id) => (await client.submit({ driver: "work", id, text: "x" })).wait());
  const views = await cluster.drive(Promise.all(runs));
  expect(new Set(ids.map((id) => shardOf(id, SHARDS))).size).toBe(SHARDS);
  expect(views.map(({ status }) => status)).toEqual(ids.map(() => "succeeded"));
}

describe("a record with one wrong value, of whatever kind it is", () => {
  test.for([1, 2, 3])(
    "a record with one wrong value, of whatever kind it is ends no node and blocks no shard at any of its owners: it continues, fails, or is set aside and named (B-21, I-12), seed %i",
    { timeout: 120_000 },
    async (seed) => {
      const planted = poisons(await templates(), seededRandom(seed * 104_729));
      const lines: string[] = [];
      const cluster = createMemoryCluster({ shards: SHARDS, seed, machines, onLog: (line) => lines.push(line) });
      await plant(cluster, planted);
      const [first] = await cluster.addNodes("n1", "n2");
      await cluster.addAgent("a1", { concurrency: 1_000, handler: () => "done" });
      await serves(cluster, "first");
      await cluster.clock.advance(60_000);
      first?.kill();
      await cluster.clock.advance(10_000);
      await serves(cluster, "second");
      await cluster.clock.advance(120_000);
      await serves(cluster, "third");

      const client = cluster.client({ timeoutMs: 20_000 });
      const answers = await cluster.drive(
        Promise.all(
          planted.map(async ({ id, what }) => {
            const code = await client.get(id).then(
              () => "found",
              (error: unknown) => (isErgonError(error) ? error.code : String(error)),
            );
            return { what, code };
          }),
        ),
      );
      const answered = ["found", "TASK_UNREADABLE", "TASK_NOT_FOUND"];
      expect(answers.filter(({ code }) => !answered.includes(code))).toEqual([]);
      // What has ended is read when somebody asks for it.
      const aside = answers.filter(({ code, what }) => code === "TASK_UNREADABLE" && !what.startsWith("ended")).length;
      expect(aside).toBeGreaterThan(PER_SEED / 4);
      const [node] = await cluster.drive(client.nodes());
      expect(node?.unreadable).toBeGreaterThanOrEqual(aside);
      expect(lines.filter((line) => / W this node cannot read a record/.test(line)).length).toBeGreaterThanOrEqual(
        aside,
      );
      expect((await cluster.drive(client.list({ limit: 1_000 }))).tasks.length).toBeGreaterThan(0);
      // What the shapes of records let pass, and no step is made for.
      expect(lines.filter((line) => / E /.test(line))).toEqual([]);
    },
  );
});

describe("a task whose attempts cannot be sent", () => {
  test("a task whose attempts cannot be sent is set aside with the reason once that shows, and every other one continues (I-12)", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    await cluster.addNode("n1", { drivers: { odd: { subject: "no subject" } } });
    await cluster.waitForOwners();
    await cluster.addAgent("a1");
    const client = cluster.client({ timeoutMs: 5_000 });
    const ids = ["odd-1", "odd-2", "odd-3"];
    for (const id of ids) await cluster.drive(client.submit({ driver: "odd", id, text: "x" }));
    await cluster.clock.advance(1_000);

    for (const id of ids)
      await expect(cluster.drive(client.get(id))).rejects.toMatchObject({
        code: "TASK_UNREADABLE",
        message: expect.stringContaining('"no subject" is not a subject') as string,
      });
    await serves(cluster, "beside");
  });
});

describe("an instance whose step breaks in the engine", () => {
  const worker = setup({ actors: { work: driver("work") } }).createMachine({
    id: "worker",
    initial: "working",
    states: {
      working: { invoke: { src: "work", onDone: "done" }, on: { GO: "done" }, after: { 60_000: "done" } },
      done: {},
    },
  });

  test.each(["a timer", "an event", "the end of its task"])(
    "at %s is set aside, and nothing of it is stored any more",
    async (cause) => {
      const whole = defineMachine(worker);
      const broken = (): never => {
        throw new TypeError("broken");
      };
      const engine = { ...whole.engine, fire: broken, step: broken };
      const cluster = createMemoryCluster({ shards: SHARDS });
      await cluster.addNode("n1", { machines: [{ ...whole, engine }] });
      await cluster.waitForOwners();
      const instance = await cluster.drive(cluster.client().start("worker"));
      await cluster.clock.advance(1_000);
      let writes = 0;
      if (cause === "the end of its task") await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(5_000) });
      await cluster.clock.advance(1_000);
      cluster.onCommit = (_, all) => (writes += all.filter(({ id }) => id === instance.id).length);

      const sent = cause === "an event" ? instance.send({ type: "GO" }).catch(() => undefined) : undefined;
      await cluster.clock.advance(61_000);
      await sent;

      await expect(cluster.drive(instance.get())).rejects.toMatchObject({ code: "TASK_UNREADABLE" });
      expect(writes).toBe(0);
    },
  );
});
