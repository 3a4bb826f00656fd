// What a record can hold, and what becomes of an instance when it cannot.
import { defineMachine, machine } from "@ergon/core";
import { createTestInstance, type TestInstance } from "@ergon/core/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { assign, createMachine, fromPromise, raise, sendTo, setup, spawnChild, type AnyStateMachine } from "xstate";

async function started(
  logic: AnyStateMachine,
  options: Parameters<typeof createTestInstance>[1] = {},
): Promise<TestInstance> {
  const instance = await createTestInstance(defineMachine(logic, { name: "faulty" }), options);
  onTestFinished(() => instance.close());
  return instance;
}

const keeper = createMachine({
  context: { value: undefined as unknown, count: 0 },
  on: {
    KEEP: { actions: assign({ value: ({ event }) => (event as { value?: unknown }).value }) },
    COUNT: { actions: assign({ count: ({ context }) => context.count + 1 }) },
  },
});

class Money {
  readonly cents = 1;
}
const cycle: { self?: unknown } = {};
cycle.self = cycle;

describe("an unstorable value", () => {
  test.for([
    ["an instance of a class", new Money(), "event.value: an instance of Money"],
    ["a map", new Map(), "event.value: an instance of Map"],
    ["a function", { run: () => undefined }, "event.value.run: a function"],
    ["a symbol", [Symbol("s")], "event.value[0]: a symbol"],
    ["a bigint", 1n, "event.value: a bigint"],
    ["a cycle", cycle, "event.value.self: a reference to something that contains it"],
    ["a promise", Promise.resolve(), "event.value: an instance of Promise"],
    [
      "a field that would be a prototype",
      JSON.parse('{"__proto__": 1}'),
      "event.value.__proto__: a field of this name",
    ],
  ] as const)("%s in an event is refused with its path, and nothing has happened", async ([, value, message]) => {
    const instance = await started(keeper);
    await expect(instance.send({ type: "KEEP", value })).rejects.toMatchObject({
      code: "NOT_SERIALISABLE",
      message: expect.stringContaining(message) as string,
    });
    await instance.send({ type: "COUNT" });
    expect(instance.view()).toMatchObject({ status: "running", context: { count: 1 } });
    expect(instance.view().context).not.toHaveProperty("value.cents");
  });

  test("an unstorable value that the machine makes refuses the event that made it", async () => {
    const makes = (value: unknown): AnyStateMachine =>
      createMachine({ context: { value: 0 as unknown }, on: { GO: { actions: assign({ value: () => value }) } } });
    for (const [value, message] of [
      [new Money(), "context.value: an instance of Money"],
      [cycle, "context.value.self: a reference to something that contains it"],
    ]) {
      const instance = await started(makes(value));
      await expect(instance.send({ type: "GO" })).rejects.toMatchObject({
        code: "NOT_SERIALISABLE",
        message: expect.stringContaining(message as string) as string,
      });
      expect(instance.view()).toMatchObject({ status: "running", context: { value: 0 } });
    }
  });

  test("an unstorable value in the context at the start refuses the start", async () => {
    await expect(started(createMachine({ context: { money: new Money() } }))).rejects.toMatchObject({
      code: "NOT_SERIALISABLE",
    });
  });

  test("an unstorable value after a timer fails the instance, which says why", async () => {
    const instance = await started(
      createMachine({
        context: { value: undefined as unknown },
        after: { 100: { actions: assign({ value: () => new Money() }) } },
      }),
    );
    await instance.advance(100);
    expect(instance.view()).toMatchObject({ status: "failed", failure: { code: "NOT_SERIALISABLE" } });
  });

  test("an actor without a name is refused as what a record cannot hold", async () => {
    const instance = await started(createMachine({ on: { GO: { actions: spawnChild(createMachine({})) } } }));
    await expect(instance.send({ type: "GO" })).rejects.toMatchObject({ code: "NOT_SERIALISABLE" });
    expect(instance.view().status).toBe("running");
  });

  test("an actor without a name that a timer spawns has the instance fail", async () => {
    const instance = await started(createMachine({ after: { 100: { actions: spawnChild(createMachine({})) } } }));
    await instance.advance(100);
    expect(instance.view()).toMatchObject({ status: "failed", failure: { code: "NOT_SERIALISABLE" } });
  });
});

describe("a record holds", () => {
  test("a record holds errors through any number of restarts, also those without a step between", async () => {
    const instance = await started(
      setup({
        actors: { bad: fromPromise(() => Promise.reject(Object.assign(new RangeError("far"), { code: "E_FAR" }))) },
      }).createMachine({
        context: { error: undefined as unknown },
        initial: "asking",
        states: {
          asking: {
            invoke: { src: "bad", onError: { target: "told", actions: assign({ error: ({ event }) => event.error }) } },
          },
          told: { on: { STAY: { actions: () => undefined } } },
        },
      }),
    );
    for (let restarts = 0; restarts < 3; restarts++) {
      const { error } = instance.snapshot().context as { error: Error };
      expect(error).toBeInstanceOf(Error);
      expect(error).toMatchObject({ name: "RangeError", message: "far", code: "E_FAR" });
      await instance.crash();
    }
    // A step that is rolled back leaves the record's errors errors.
    await instance.send({ type: "STAY" });
    expect((instance.snapshot().context as { error: Error }).error).toBeInstanceOf(Error);
  });

  test.for([
    [{ ergon$error: { name: "E", message: "m" } }],
    [{ ergon$data: { ergon$data: 1 } }],
    [{ xstate$$type: 1, id: "nobody" }],
    [[{ xstate$$type: 1, id: "x:1", more: "text" }]],
    [{ ergon$error: null }],
    [{ ergon$error: { name: 1 } }],
    [{ ergon$error: { name: "E", message: "m" }, more: 1 }],
    [{ constructor: 1 }],
  ])("a record holds a value that looks like a mark or a prototype as it is: %o", async ([value]) => {
    const instance = await started(keeper);
    await instance.send({ type: "KEEP", value });
    await instance.crash();
    expect(instance.snapshot().context).toMatchObject({ value });
  });

  test("an error in an event, in an input, in a delayed event, and on its way to a child as one", async () => {
    const child = createMachine({
      id: "child",
      context: ({ input }) => ({ input: input as unknown, error: undefined as unknown }),
      on: { TELL: { actions: assign({ error: ({ event }) => (event as unknown as { error: unknown }).error }) } },
    });
    const instance = await started(
      setup({ actors: { child: machine("child", { id: "kid" }) } }).createMachine({
        context: ({ input }) => ({ input: input as unknown, later: undefined as unknown, error: undefined as unknown }),
        invoke: { src: "child", id: "kid", input: ({ context }) => context["input"] },
        on: {
          TELL: {
            actions: [
              assign({ error: ({ event }) => event["error"] as unknown }),
              sendTo("kid", ({ event }) => event),
              raise(({ event }) => ({ type: "LATER", error: event["error"] as unknown }), { delay: 10 }),
            ],
          },
          LATER: { actions: assign({ later: ({ event }) => event["error"] as unknown }) },
        },
      }),
      { input: new Error("given"), machines: [defineMachine(child)], crashEachStep: true },
    );
    await instance.send({ type: "TELL", error: new RangeError("told") });
    await instance.advance(10);
    const [given, told] = [new Error("given"), new RangeError("told")];
    expect(instance.snapshot().context).toEqual({ input: given, error: told, later: told });
    expect(instance.snapshot("kid").context).toEqual({ input: given, error: told });
    expect(instance.view().context).toMatchObject({ error: { name: "RangeError", message: "told" } });
  });
});
