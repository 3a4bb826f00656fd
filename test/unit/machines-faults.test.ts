// What machines, clients and agents may do wrong: each has one clear outcome, and none of them stops the node.
import { defineMachine, driver, machine } from "@ergon/core";
import { createTestInstance, type TestInstance } from "@ergon/core/testing";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { assign, createMachine, fromPromise, raise, sendParent, sendTo, setup, type AnyStateMachine } from "xstate";

async function started(
  logic: AnyStateMachine,
  options: Parameters<typeof createTestInstance>[1] = {},
): Promise<TestInstance> {
  const instance = await createTestInstance(defineMachine(logic, { name: "faulty" }), options);
  onTestFinished(() => instance.close());
  return instance;
}

describe("a machine without an end", () => {
  test("a machine that continues by itself for ever fails", async () => {
    const instance = await started(
      createMachine({ initial: "a", states: { a: { on: { GO: "b" } }, b: { always: "c" }, c: { always: "b" } } }),
    );
    await instance.send({ type: "GO" });
    expect(instance.view()).toMatchObject({ status: "failed", failure: { code: "MACHINE_FAILED" } });
  });

  test("an invoked machine that never stops by itself fails, from its start on", async () => {
    const endless = createMachine({ initial: "b", states: { b: { always: "c" }, c: { always: "b" } } });
    const instance = await started(
      setup({ actors: { endless } }).createMachine({
        initial: "a",
        states: { a: { on: { GO: "b" } }, b: { invoke: { src: "endless", onError: "stopped" } }, stopped: {} },
      }),
    );
    await instance.send({ type: "GO" });
    expect(instance.view()).toMatchObject({ status: "running", state: "stopped" });
  });

  const player = createMachine({ on: { BALL: { actions: [({ self }) => void self, sendParent({ type: "BALL" })] } } });
  const game = (extra: object): AnyStateMachine =>
    setup({ actors: { player } }).createMachine({
      invoke: { src: "player", id: "player" },
      on: { BALL: { actions: sendTo("player", { type: "BALL" }) } },
      ...extra,
    });

  test("two actors that answer each other for ever: the event is refused or the instance fails, and it is said why", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const instance = await started(game({}));
    const outcome = await instance.send({ type: "BALL" }).then(
      () => instance.view().failure,
      (error: unknown) => error,
    );
    expect(outcome).toMatchObject({
      code: "MACHINE_FAILED",
      message: expect.stringContaining("10000 messages") as string,
    });
  });

  test("two actors that answer each other for ever after a timer fail the instance", async () => {
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const instance = await started(game({ entry: raise({ type: "BALL" }, { delay: 100 }) }));
    await instance.advance(100);
    expect(instance.view()).toMatchObject({ status: "failed", failure: { code: "MACHINE_FAILED" } });
  });

  test("10,000 actors are spawned, stored and brought back", { timeout: 60_000 }, async () => {
    const child = createMachine({ context: { n: 1 } });
    const instance = await started(
      setup({ actors: { child } }).createMachine({
        on: {
          GO: {
            actions: assign(({ spawn }) => {
              for (let index = 0; index < 10_000; index++) spawn("child", { id: `c${index}` });
              return {};
            }),
          },
        },
      }),
    );
    await instance.send({ type: "GO" });
    await instance.crash();
    expect(Object.keys(instance.snapshot().children as object)).toHaveLength(10_000);
    await instance.cancel();
    expect(instance.view()).toMatchObject({ status: "cancelled" });
  });
});

describe("a machine that throws", () => {
  const thrower = (): never => {
    throw new Error("out of order");
  };

  test("a machine that throws in its context cannot be started", async () => {
    await expect(started(createMachine({ context: thrower }))).rejects.toMatchObject({
      code: "MACHINE_FAILED",
      message: expect.stringContaining("out of order") as string,
    });
  });

  test("a machine that throws in an entry action at the start cannot be started", async () => {
    await expect(started(createMachine({ entry: thrower }))).rejects.toMatchObject({ code: "MACHINE_FAILED" });
  });

  test("a machine that throws in an action fails, and its tasks and actors are stopped", async () => {
    const stopped: string[] = [];
    const instance = await started(
      setup({
        actors: {
          task: driver("work"),
          child: machine("child"),
          local: fromPromise(
            ({ signal }) =>
              new Promise<void>(() => {
                signal.addEventListener("abort", () => stopped.push("local"));
              }),
          ),
        },
      }).createMachine({
        invoke: [{ src: "task" }, { src: "child" }, { src: "local" }],
        on: { GO: { actions: thrower } },
      }),
      { machines: [defineMachine(createMachine({ id: "child" }))] },
    );
    expect(instance.tasks).toHaveLength(1);
    const [child] = instance.children;
    await instance.send({ type: "GO" });
    expect(instance.view()).toMatchObject({
      status: "failed",
      failure: { code: "MACHINE_FAILED", message: "out of order" },
    });
    expect(instance.tasks).toHaveLength(0);
    expect(instance.view(child?.id)).toMatchObject({ status: "cancelled" });
    expect(stopped).toEqual(["local"]);
  });

  test("a machine that throws in a guard takes no event, and a timer makes it fail", async () => {
    const instance = await started(createMachine({ on: { GO: { guard: thrower, actions: () => undefined } } }));
    await expect(instance.send({ type: "GO" })).rejects.toMatchObject({ code: "MACHINE_FAILED" });
    expect(instance.view().status).toBe("running");
  });
});

describe("too late", () => {
  test("a promise that rejects after its state was left changes nothing", async () => {
    let reject: (error: Error) => void = () => undefined;
    const instance = await started(
      setup({
        actors: {
          slow: fromPromise(
            () =>
              new Promise<void>((_, no) => {
                reject = no;
              }),
          ),
        },
      }).createMachine({
        initial: "a",
        states: { a: { invoke: { src: "slow", onError: "c" }, on: { GO: "b" } }, b: {}, c: {} },
      }),
    );
    await instance.send({ type: "GO" });
    reject(new Error("late"));
    await instance.advance(0);
    expect(instance.view()).toMatchObject({ status: "running", state: "b" });
  });

  test("a promise of a process that is gone changes nothing; its successor's does", async () => {
    const runs: ((value: string) => void)[] = [];
    const instance = await started(
      setup({ actors: { slow: fromPromise<string>(() => new Promise((yes) => void runs.push(yes))) } }).createMachine({
        context: { got: "" },
        initial: "a",
        states: {
          a: {
            invoke: { src: "slow", onDone: { target: "b", actions: assign({ got: ({ event }) => event.output }) } },
          },
          b: {},
        },
      }),
    );
    await instance.crash();
    expect(runs).toHaveLength(2);
    runs[0]?.("gone");
    await instance.advance(0);
    expect(instance.view().state).toBe("a");
    runs[1]?.("here");
    await instance.advance(0);
    expect(instance.view()).toMatchObject({ state: "b", context: { got: "here" } });
  });

  test("an answer to a task that is not wanted any more, and one that comes twice, change nothing", async () => {
    const instance = await started(
      setup({ actors: { work: driver("work") } }).createMachine({
        context: { ends: 0 },
        initial: "a",
        states: {
          a: {
            invoke: {
              src: "work",
              onDone: { target: "b", actions: assign({ ends: ({ context }) => context["ends"] + 1 }) },
            },
            on: { GO: "b" },
          },
          b: { on: { BACK: "a" } },
        },
      }),
    );
    const [first] = instance.tasks;
    await instance.send({ type: "GO" });
    await instance.send({ type: "BACK" });
    await first?.succeed("late");
    expect(instance.view()).toMatchObject({ state: "a", context: { ends: 0 } });
    const [second] = instance.tasks;
    await second?.succeed("in time");
    await second?.succeed("again");
    expect(instance.view()).toMatchObject({ state: "b", context: { ends: 1 } });
  });
});

describe("durable children", () => {
  const child = (extra: object = {}): ReturnType<typeof defineMachine> =>
    defineMachine(
      createMachine({
        id: "child",
        entry: sendParent({ type: "HELLO" }),
        on: { END: ".end" },
        initial: "on",
        states: { on: {}, end: { type: "final" } },
        ...extra,
      }),
    );

  test("an id that an earlier child of the same parent has had is a conflict, and the parent hears so", async () => {
    const instance = await started(
      setup({ actors: { child: machine("child", { id: "only" }) } }).createMachine({
        context: { hello: 0 },
        initial: "a",
        states: {
          a: { invoke: { src: "child", onError: "taken" }, on: { GO: "b" } },
          b: { on: { BACK: "a" } },
          taken: {},
        },
        on: { HELLO: { actions: assign({ hello: ({ context }) => context["hello"] + 1 }) } },
      }),
      { machines: [child()] },
    );
    expect(instance.view().context).toEqual({ hello: 1 });
    await instance.send({ type: "GO" });
    await instance.send({ type: "BACK" });
    expect(instance.view()).toMatchObject({ state: "taken", children: [] });
  });

  test("a machine that nobody knows is an error of its parent", async () => {
    const instance = await started(
      setup({ actors: { child: machine("stranger") } }).createMachine({
        context: { error: undefined as unknown },
        initial: "a",
        states: {
          a: {
            invoke: { src: "child", onError: { target: "b", actions: assign({ error: ({ event }) => event.error }) } },
          },
          b: {},
        },
      }),
    );
    expect(instance.view()).toMatchObject({ state: "b", context: { error: { code: "MACHINE_NOT_FOUND" } } });
  });

  test("the memory of children that have ended or were stopped does not grow", async () => {
    const instance = await started(
      setup({ actors: { child: machine("child") } }).createMachine({
        initial: "a",
        states: { a: { invoke: { src: "child" }, on: { GO: "b" } }, b: { on: { BACK: "a" } } },
        on: { HELLO: { actions: () => undefined } },
      }),
      { machines: [child()] },
    );
    const sizes: number[] = [];
    for (let round = 0; round < 90; round++) {
      await instance.send({ type: "GO" }, { eventId: `go${String(round).padStart(3, "0")}` });
      await instance.send({ type: "BACK" }, { eventId: `ba${String(round).padStart(3, "0")}` });
      sizes.push(instance.recordBytes);
    }
    // Which events were sent, and where it was, is kept up to a bound.
    expect((sizes.at(-1) ?? 0) - (sizes.at(-31) ?? 0)).toBeLessThan(10);
  });
});
