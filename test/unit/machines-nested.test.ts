// Tasks and durable children of actors inside an instance, and delays of all kinds.
import { defineMachine, driver, machine } from "@ergon/core";
import { createTestInstance, explore } from "@ergon/core/testing";
import { describe, expect, test } from "vitest";
import { assign, createMachine, raise, sendParent, sendTo, setup, spawnChild, stopChild } from "xstate";

describe("an actor inside an instance", () => {
  const grandchild = defineMachine(
    createMachine({
      id: "grandchild",
      entry: sendParent({ type: "HELLO" }),
      initial: "on",
      states: { on: { on: { BYE: "off" }, after: { 5_000: "off" } }, off: { type: "final" } },
      output: "bye",
    }),
  );
  const inner = setup({
    types: {} as { context: { notes: string[] } },
    actors: {
      work: driver<string, string>("work"),
      alone: driver<string, string>("work", { standalone: true }),
      far: machine("grandchild"),
    },
  }).createMachine({
    id: "inner",
    context: { notes: [] },
    type: "parallel",
    states: {
      far: {
        initial: "on",
        states: {
          on: {
            invoke: {
              src: "far",
              id: "far",
              onDone: {
                target: "off",
                actions: assign({ notes: ({ context, event }) => [...context.notes, String(event.output)] }),
              },
            },
            on: {
              HELLO: {
                actions: [
                  assign({ notes: ({ context }) => [...context.notes, "hello"] }),
                  sendParent({ type: "TOLD" }),
                ],
              },
              BYE: { actions: sendTo("far", { type: "BYE" }) },
            },
          },
          off: { type: "final" },
        },
      },
      near: {
        initial: "first",
        states: {
          first: { invoke: { src: "work", input: "one", onDone: "second", onError: "over" }, after: { 1_000: "over" } },
          second: { invoke: { src: "alone", input: "two", onDone: "over", onError: "over" } },
          over: { type: "final" },
        },
      },
    },
    output: ({ context }) => context.notes,
  });
  const outer = defineMachine(
    setup({ types: {} as { context: { told: number; output: unknown } }, actors: { inner } }).createMachine({
      id: "outer",
      context: { told: 0, output: undefined },
      initial: "on",
      states: {
        on: {
          invoke: {
            src: "inner",
            id: "inner",
            onDone: { target: "off", actions: assign({ output: ({ event }) => event.output }) },
          },
          on: {
            LEAVE: "off",
            BYE: { actions: sendTo("inner", { type: "BYE" }) },
            TOLD: { actions: assign({ told: ({ context }) => context.told + 1 }) },
          },
        },
        off: { type: "final" },
      },
      output: ({ context }) => context.output,
    }),
  );

  test("an actor inside an instance has its tasks and durable children whatever crashes, and takes them with it", async () => {
    const { ends, states } = await explore(outer, {
      machines: [grandchild],
      events: [{ type: "LEAVE" }, { type: "BYE" }],
      agents: { work: [{ output: "ok" }, { error: { code: "NO" } }] },
    });
    expect(states).toBeGreaterThan(8);
    for (const end of ends) expect(end["test"]).toMatchObject({ context: { told: 1 }, tasks: [], children: [] });
    const outputs = new Set(ends.map((end) => JSON.stringify(end["test"]?.output)));
    expect(outputs).toEqual(new Set([undefined, '["hello","bye"]']));
  });
});

test("a durable child that is followed is known as it stands last, and its end comes after that", async () => {
  const walker = defineMachine(
    createMachine({
      id: "walker",
      initial: "a",
      context: { steps: 0 },
      states: {
        a: { after: { 100: "b" }, on: { JUMP: "c" } },
        b: { entry: assign({ steps: ({ context }) => (context["steps"] as number) + 1 }), after: { 100: "c" } },
        c: { after: { 100: "end" } },
        end: { type: "final" },
      },
      output: "there",
    }),
  );
  const follower = defineMachine(
    setup({
      types: {} as { context: { last: unknown; output: unknown } },
      actors: { walker: machine("walker") },
    }).createMachine({
      id: "follower",
      context: { last: undefined, output: undefined },
      initial: "on",
      states: {
        on: {
          invoke: {
            id: "walker",
            src: "walker",
            onSnapshot: { actions: assign({ last: ({ event }) => (event.snapshot as { value?: unknown }).value }) },
            onDone: { target: "off", actions: assign({ output: ({ event }) => event.output }) },
          },
          on: { JUMP: { actions: sendTo("walker", { type: "JUMP" }) } },
        },
        off: { type: "final" },
      },
    }),
  );
  const { ends } = await explore(follower, { machines: [walker], events: [{ type: "JUMP" }], depth: 8 });
  expect(ends.map((end) => end["test"]?.context)).toContainEqual({ last: "c", output: "there" });
});

test("tasks that are spawned one by one, and stopped, end once each", async () => {
  const pool = defineMachine(
    setup({
      types: {} as { context: { next: number; done: string[] }; events: { type: "MORE" } | { type: "LESS" } },
      actors: { work: driver<string, string>("work") },
    }).createMachine({
      id: "pool",
      context: { next: 0, done: [] },
      on: {
        MORE: {
          guard: ({ context }) => context.next < 2,
          actions: [
            spawnChild("work", { id: ({ context }) => `w${context.next}`, input: ({ context }) => `n${context.next}` }),
            assign({ next: ({ context }) => context.next + 1 }),
          ],
        },
        LESS: { guard: ({ context }) => context.next > 0, actions: [stopChild("w0")] },
        "xstate.done.actor.*": {
          actions: assign({
            done: ({ context, event }) => [
              ...(context["done"] as string[]),
              (event as unknown as { actorId: string }).actorId,
            ],
          }),
        },
      },
    }),
  );
  const { states } = await explore(pool, {
    events: [{ type: "MORE" }, { type: "LESS" }],
    agents: { work: [{ output: "ok" }] },
    cancel: true,
  });
  expect(states).toBeGreaterThan(5);
});

describe("a delay", () => {
  const waiting = (delay: number) =>
    defineMachine(
      setup({ delays: { wait: () => delay } }).createMachine({
        id: "waiting",
        initial: "a",
        states: { a: { on: { GO: "b" } }, b: { after: { wait: "c" } }, c: {} },
      }),
    );

  test.for([[NaN], [Infinity], [1e300]])(
    "a delay of %s is refused as no delay, and ends the instance",
    async ([delay = 0]) => {
      const instance = await createTestInstance(waiting(delay));
      await instance.send({ type: "GO" });
      expect(instance.view()).toMatchObject({
        status: "failed",
        failure: { code: "MACHINE_FAILED", message: expect.stringContaining("milliseconds") as string },
      });
      instance.close();
    },
  );

  test("a delay that is past is over at once", async () => {
    const instance = await createTestInstance(waiting(-5));
    await instance.send({ type: "GO" });
    await instance.advance(0);
    expect(instance.view()).toMatchObject({ state: "c" });
    instance.close();
  });

  test("a delay of years is kept", async () => {
    const instance = await createTestInstance(waiting(10 * 365 * 86_400_000));
    await instance.send({ type: "GO" });
    await instance.crash();
    expect(instance.view().nextTimerAt).toMatch(/^20/);
    expect(await instance.advanceToNextTimer()).toBe(true);
    expect(instance.view()).toMatchObject({ state: "c" });
    instance.close();
  });

  test("the delay of a stopped actor is forgotten with it", async () => {
    const child = createMachine({
      id: "child",
      entry: [raise({ type: "X" }, { delay: 100 }), sendParent({ type: "LATE" }, { delay: 50 })],
    });
    const parent = setup({ actors: { child }, types: {} as { context: { late: number } } }).createMachine({
      context: { late: 0 },
      initial: "a",
      states: { a: { invoke: { src: "child" }, on: { GO: "b" } }, b: {} },
      on: { LATE: { actions: assign({ late: ({ context }) => context.late + 1 }) } },
    });
    const instance = await createTestInstance(defineMachine(parent, { name: "parent" }), { crashEachStep: true });
    await instance.send({ type: "GO" });
    expect(instance.view().nextTimerAt).toBeUndefined();
    await instance.advance(200);
    expect(instance.view()).toMatchObject({ context: { late: 0 } });
    instance.close();
  });
});
