// What clients, agents, machines and dying nodes may do to instances, on whole nodes.
import { defineMachine, driver, machine, type Client } from "@ergon/core";
import { H, JSON_TYPE, decodeError, delay, shardOf } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";
import { assign, createMachine, emit, fromPromise, sendParent, sendTo, setup, spawnChild } from "xstate";

import { createMemoryCluster, type MemoryCluster, type MemoryClusterOptions } from "../support/memory-cluster.ts";

const keeper = defineMachine(
  createMachine({
    id: "keeper",
    context: { value: undefined as unknown, count: 0 },
    on: {
      KEEP: { actions: assign({ value: ({ event }) => (event as unknown as { value: unknown }).value }) },
      COUNT: { actions: assign({ count: ({ context }) => (context["count"] as number) + 1 }) },
      BREAK: {
        actions: () => {
          throw new Error("broken");
        },
      },
      GUARDED: {
        guard: () => {
          throw new Error("no guard");
        },
        actions: () => undefined,
      },
      SPAWN: { actions: spawnChild(createMachine({})) },
    },
  }),
);

async function started(options: MemoryClusterOptions): Promise<MemoryCluster> {
  const cluster = createMemoryCluster(options);
  await cluster.addNodes("n1", "n2");
  return cluster;
}

/** The node that owns the shard of an id. */
async function ownerOf(cluster: MemoryCluster, id: string): Promise<string> {
  const { shards } = await cluster.drive(cluster.client().shards());
  return shards[shardOf(id, shards.length)]?.node ?? "";
}

describe("events that nobody should send", () => {
  test.for([
    ["an event of XState's", { type: "xstate.stop" }, "INVALID_BODY"],
    ["an event of the engine's", { type: "ergon.ended", ending: { kind: "done", output: 1 } }, "INVALID_BODY"],
    ["an event that it does not know", { type: "WHAT" }, "EVENT_NOT_ACCEPTED"],
    ["an event without a type", { kind: "KEEP" }, "INVALID_BODY"],
    ["an event that is a list", ["KEEP"], "INVALID_BODY"],
    ["one that would make the record too large", { type: "KEEP", value: "x".repeat(62_900) }, "RECORD_TOO_LARGE"],
    [
      "one with a field that would be a prototype",
      { type: "KEEP", value: JSON.parse('{"__proto__": {"polluted": 1}}') },
      "NOT_SERIALISABLE",
    ],
    ["one on which a guard throws", { type: "GUARDED" }, "MACHINE_FAILED"],
    ["one on which an actor without a name is spawned", { type: "SPAWN" }, "NOT_SERIALISABLE"],
  ] as const)("%s is refused with its code, and changes nothing", async ([, event, code]) => {
    const cluster = await started({ machines: [keeper], maxMessageBytes: 64_000 });
    const client = cluster.client();
    const instance = await cluster.drive(client.start("keeper", undefined, { id: "k" }));
    const stranger = cluster.connect("stranger");
    const reply = await cluster.drive(
      stranger.bus.request(cluster.names.verb("send", "k"), Buffer.from(JSON.stringify(event)), {
        headers: { [H.contentType]: JSON_TYPE },
        timeoutMs: 5_000,
      }),
    );
    expect(decodeError(reply)).toMatchObject({ code });
    expect({}).not.toHaveProperty("polluted");
    await cluster.drive(instance.send({ type: "COUNT" }));
    expect(await cluster.drive(instance.get())).toMatchObject({ status: "running", context: { count: 1 } });
  });

  test("an action that throws ends the instance as failed, which is told and stays readable", async () => {
    const cluster = await started({ machines: [keeper] });
    const instance = await cluster.drive(cluster.client().start("keeper", undefined, { id: "k" }));
    expect(await cluster.drive(instance.send({ type: "BREAK" }))).toMatchObject({
      status: "failed",
      failure: { code: "MACHINE_FAILED", message: "broken" },
    });
    await expect(cluster.drive(instance.send({ type: "COUNT" }))).rejects.toMatchObject({ code: "TASK_ENDED" });
  });

  test("the same event id twice at once, and again after a take-over, is one event", async () => {
    const cluster = await started({ machines: [keeper] });
    const client = cluster.client();
    const instance = await cluster.drive(client.start("keeper", undefined, { id: "k" }));
    const send = () => instance.send({ type: "COUNT" }, { eventId: "once" });
    await cluster.drive(Promise.all([send(), send()]));
    const owner = await ownerOf(cluster, "k");
    cluster.nodes.find(({ name }) => name === owner)?.kill();
    const [view] = await cluster.drive(Promise.all([send(), instance.send({ type: "COUNT" })]));
    expect(view).toMatchObject({ context: { count: expect.any(Number) as number } });
    expect(await cluster.drive(instance.get())).toMatchObject({ context: { count: 2 } });
  });
});

describe("an instance with tasks", () => {
  const working = defineMachine(
    setup({ actors: { work: driver("work", { task: { attemptTimeout: "10m" } }) } }).createMachine({
      id: "working",
      initial: "on",
      states: { on: { invoke: { src: "work", input: "x" }, on: { LEAVE: "off" } }, off: {} },
    }),
  );

  test.for(["cancel", "end", "leave"] as const)(
    "an instance whose tasks are left by %s tells its agents",
    async (way) => {
      const cluster = await started({ machines: [working] });
      const aborted: string[] = [];
      await cluster.addAgent("a1", {
        handler: (attempt) =>
          new Promise<void>((resolve) => {
            attempt.signal.addEventListener("abort", () => {
              aborted.push(attempt.taskId);
              resolve();
            });
          }),
      });
      const instance = await cluster.drive(cluster.client().start("working", undefined, { id: "w" }));
      await cluster.clock.advance(1_000);
      expect((await cluster.drive(instance.get())).children).toMatchObject([{ status: "started" }]);
      if (way === "leave") await cluster.drive(instance.send({ type: "LEAVE" }));
      else if (way === "end") await cluster.drive(instance.end());
      else await cluster.drive(instance.cancel());
      await cluster.clock.advance(1_000);
      expect(aborted).toEqual(["w~1"]);
      expect((await cluster.drive(instance.get())).children).toEqual([]);
    },
  );
});

test("an agent that answers a task which its instance has left is told that it is too late, and asks no more", async () => {
  const leaving = defineMachine(
    setup({ actors: { work: driver("work", { task: { attemptTimeout: "10m" } }) } }).createMachine({
      id: "leaving",
      initial: "on",
      states: { on: { invoke: { src: "work", input: "x" }, after: { 1_000: "off" } }, off: {} },
    }),
  );
  const cluster = await started({ machines: [leaving] });
  let answered = false;
  const { agent } = await cluster.addAgent("a1", {
    handler: async () => {
      await delay(cluster.clock, 5_000);
      answered = true;
      return "late";
    },
  });
  /** Words of agents for the shards. */
  let answers = 0;
  cluster.connect("spy").bus.subscribe(`${cluster.names.root}.shard.*.reply.>`, () => void answers++);
  const instance = await cluster.drive(cluster.client().start("leaving", undefined, { id: "l" }));
  await cluster.clock.advance(8_000);
  expect(answered).toBe(true);
  const heard = answers;
  expect(heard).toBeGreaterThan(0);
  await cluster.clock.advance(60_000);
  expect(answers).toBe(heard);
  expect(await cluster.drive(instance.get())).toMatchObject({ state: "off", children: [] });
  await cluster.drive(agent.stop(), 1_000);
});

test("a start that throws is refused, and leaves its id free", async () => {
  const picky = defineMachine(
    setup({ types: {} as { input: string } }).createMachine({
      id: "picky",
      context: ({ input }) => {
        if (input !== "please") throw new Error("say please");
        return {};
      },
    }),
  );
  const cluster = await started({ machines: [picky] });
  const client = cluster.client();
  await expect(cluster.drive(client.start("picky", "now", { id: "p" }))).rejects.toMatchObject({
    code: "MACHINE_FAILED",
    message: expect.stringContaining("say please") as string,
  });
  await expect(cluster.drive(client.instance("p").get())).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  const one = await cluster.drive(client.start("picky", "please", { id: "p" }));
  expect(await cluster.drive(one.get())).toMatchObject({ status: "running" });
});

test("an answer that makes the record too large ends the instance, and tells the agents of its other tasks", async () => {
  const swelling = defineMachine(
    setup({ actors: { work: driver<string>("work", { task: { attemptTimeout: "10m" } }) } }).createMachine({
      id: "swelling",
      context: { value: "" },
      initial: "on",
      states: {
        on: {
          invoke: [
            { src: "work", input: "long" },
            { src: "work", input: "short", onDone: { target: "off", actions: assign({ value: "x".repeat(63_000) }) } },
          ],
        },
        off: { invoke: { src: "work", input: "never" } },
      },
    }),
  );
  const cluster = await started({ machines: [swelling], maxMessageBytes: 64_000 });
  const begun: string[] = [];
  const aborted: string[] = [];
  await cluster.addAgent("a1", {
    concurrency: 5,
    handler: async (attempt) => {
      begun.push(attempt.text());
      attempt.signal.addEventListener("abort", () => aborted.push(attempt.text()));
      await attempt.sleep(attempt.text() === "short" ? 1_000 : 60_000);
    },
  });
  const instance = await cluster.drive(cluster.client().start("swelling", undefined, { id: "s" }));
  await cluster.clock.advance(5_000);
  expect(await cluster.drive(instance.get())).toMatchObject({
    status: "failed",
    failure: { code: "RECORD_TOO_LARGE" },
    children: [],
  });
  expect(begun.toSorted((a, b) => a.localeCompare(b))).toEqual(["long", "short"]);
  expect(aborted).toEqual(["long"]);
});

describe("parents and children", () => {
  const child = defineMachine(
    createMachine({
      id: "child",
      initial: "on",
      states: {
        on: { on: { END: "end" } },
        end: { type: "final", entry: [sendParent({ type: "A" }), sendParent({ type: "B" })] },
      },
      output: "bye",
    }),
  );
  const parent = (logic = machine("child", { id: "kid" })) =>
    defineMachine(
      setup({ actors: { child: logic }, types: {} as { context: { heard: string[]; error?: unknown } } }).createMachine(
        {
          id: "parent",
          context: { heard: [] },
          initial: "on",
          states: {
            on: {
              invoke: {
                src: "child",
                id: "child",
                onDone: {
                  target: "end",
                  actions: assign({ heard: ({ context, event }) => [...context.heard, String(event.output)] }),
                },
                onError: { target: "refused", actions: assign({ error: ({ event }) => event.error }) },
              },
            },
            end: {},
            refused: {},
          },
          on: {
            END: { actions: sendTo("child", { type: "END" }) },
            "*": { actions: assign({ heard: ({ context, event }) => [...context.heard, event.type] }) },
          },
        },
      ),
    );

  test("a message of an ended child outlives its node", async () => {
    const cluster = await started({ machines: [parent(), child], shards: 8 });
    const client = cluster.client();
    // The two are at different nodes.
    const owner = await ownerOf(cluster, "kid");
    let id = "";
    for (let index = 0; id === ""; index++) if ((await ownerOf(cluster, `p-${index}`)) !== owner) id = `p-${index}`;
    const one = await cluster.drive(client.start("parent", undefined, { id }));
    await cluster.clock.advance(1_000);
    const parentNode = cluster.nodes.find(({ name }) => name !== owner);
    const childNode = cluster.nodes.find(({ name }) => name === owner);
    const kid = client.instance("kid");
    // Nobody takes what the child says; then its node dies with it.
    parentNode?.pause();
    await cluster.drive(kid.send({ type: "END" }));
    expect(await cluster.drive(kid.get())).toMatchObject({ status: "succeeded" });
    childNode?.kill();
    parentNode?.resume();
    await cluster.addNode("n3");
    await cluster.drive(one.wait({ state: "end", timeoutMs: 60_000 }));
    expect(await cluster.drive(one.get())).toMatchObject({ state: "end", context: { heard: ["A", "B", "bye"] } });
  });

  describe("a child that is forgotten by now is not started again by its parent's next node, where it was stopped", () => {
    const brief = defineMachine(
      setup({ actors: { work: driver("work") } }).createMachine({ id: "brief", invoke: { src: "work" } }),
    );
    const hasty = defineMachine(
      setup({ actors: { child: machine("brief", { retentionMs: 1_000 }) } }).createMachine({
        id: "hasty",
        context: { value: undefined as unknown },
        initial: "draft",
        states: {
          draft: { on: { GO: "busy" } },
          busy: {
            invoke: { src: "child" },
            on: { LEAVE: "left" },
            after: { 5_000: { target: "left", actions: assign({ value: () => new Map() }) } },
          },
          left: {},
        },
      }),
    );

    test.for(["at once", "since its parent failed"] as const)("%s", async (why) => {
      const cluster = await started({ machines: [brief, hasty] });
      const begun: string[] = [];
      await cluster.addAgent("a1", {
        handler: async (attempt) => {
          begun.push(attempt.taskId);
          await attempt.sleep(60_000);
        },
      });
      const one = await cluster.drive(cluster.client().start("hasty", undefined, { id: "h" }));
      const sent = why === "at once" ? ["GO", "LEAVE"] : ["GO"];
      await cluster.drive(Promise.all(sent.map((type) => one.send({ type }))));
      await cluster.clock.advance(30_000);
      const before = begun.length;
      const owner = await ownerOf(cluster, "h");
      cluster.nodes.find(({ name }) => name === owner)?.kill();
      await cluster.clock.advance(30_000);
      expect(await cluster.drive(one.get())).toMatchObject({
        status: why === "at once" ? "running" : "failed",
        children: [],
      });
      expect(begun).toHaveLength(before);
    });
  });

  test("a child's id that a task, another instance or another parent's child has is an error of the parent", async () => {
    const takers: readonly ((client: Client) => Promise<unknown>)[] = [
      (client) => client.submit({ driver: "nobody", id: "kid", text: "x" }),
      (client) => client.start("keeper", undefined, { id: "kid" }),
    ];
    for (const take of takers) {
      const cluster = await started({ machines: [parent(), child, keeper] });
      const client = cluster.client();
      await cluster.drive(take(client));
      const one = await cluster.drive(client.start("parent", undefined, { id: "p" }));
      await cluster.drive(one.wait({ state: "refused", timeoutMs: 10_000 }));
      expect(await cluster.drive(one.get())).toMatchObject({ context: { error: { code: "ID_CONFLICT" } } });
    }
    const cluster = await started({ machines: [parent(), child] });
    const client = cluster.client();
    const first = await cluster.drive(client.start("parent", undefined, { id: "p1" }));
    await cluster.clock.advance(1_000);
    const second = await cluster.drive(client.start("parent", undefined, { id: "p2" }));
    await cluster.drive(second.wait({ state: "refused", timeoutMs: 10_000 }));
    expect(await cluster.drive(first.get())).toMatchObject({ state: "on" });
  });

  test("a child whose id is its parent's own is an error of the parent", async () => {
    const cluster = await started({ machines: [parent(machine("child", { id: "p" })), child] });
    const one = await cluster.drive(cluster.client().start("parent", undefined, { id: "p" }));
    await cluster.drive(one.wait({ state: "refused", timeoutMs: 10_000 }));
    expect(await cluster.drive(one.get())).toMatchObject({ context: { error: { code: "ID_CONFLICT" } } });
  });
});

test("a promise that resolves after its node has lost the shard changes nothing; the next node's does", async () => {
  const runs: ((value: string) => void)[] = [];
  const waiting = defineMachine(
    setup({
      actors: { slow: fromPromise<string>(() => new Promise((resolve) => void runs.push(resolve))) },
    }).createMachine({
      id: "waiting",
      context: { got: "" },
      initial: "a",
      states: {
        a: {
          invoke: {
            src: "slow",
            onDone: { target: "b", actions: [assign({ got: ({ event }) => event.output }), emit({ type: "got" })] },
          },
        },
        b: {},
      },
    }),
  );
  const cluster = await started({ machines: [waiting] });
  const instance = await cluster.drive(cluster.client().start("waiting", undefined, { id: "w" }));
  await cluster.clock.advance(100);
  expect(runs).toHaveLength(1);
  const owner = await ownerOf(cluster, "w");
  const former = cluster.nodes.find(({ name }) => name === owner);
  former?.disconnect();
  await cluster.clock.advance(30_000);
  expect(runs).toHaveLength(2);
  runs[0]?.("former");
  former?.reconnect();
  await cluster.clock.advance(10_000);
  expect(await cluster.drive(instance.get())).toMatchObject({ state: "a" });
  runs[1]?.("present");
  await cluster.clock.advance(1_000);
  expect(await cluster.drive(instance.get())).toMatchObject({ state: "b", context: { got: "present" } });
});
