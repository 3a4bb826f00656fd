// Whatever happens in whatever order: an instance comes to the same with crashes as without, and as on XState itself.
import { defineMachine, driver, machine } from "@ergon/core";
import { createTestInstance, type TestInstanceOptions } from "@ergon/core/testing";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { assign, createMachine, fromPromise, raise, sendParent, sendTo, setup } from "xstate";

import { onErgon, onXState, type Step } from "../support/machine-twins.ts";

type Happening =
  | { readonly kind: "event"; readonly type: string; readonly n: number }
  | { readonly kind: "time"; readonly ms: number }
  | { readonly kind: "answer"; readonly which: number; readonly fails: boolean }
  | { readonly kind: "crash" };

const note = (text: string) =>
  assign<{ notes: string[] }, { type: string }, undefined, { type: string }, never>({
    notes: ({ context }) => [...context.notes, text].slice(-50),
  });

/** Regions with history, timers of all kinds, and invoked actors. */
const base = setup({
  types: {} as { context: { notes: string[] }; events: { type: string } },
  actors: { work: driver<string>("work"), quick: fromPromise(async () => "quick") },
  delays: { long: 900 },
});
const local = base.createMachine({
  id: "local",
  type: "parallel",
  context: { notes: [] },
  on: {
    LATER: { actions: raise({ type: "RAISED" }, { delay: 250, id: "later" }) },
    RAISED: { actions: note("raised") },
  },
  states: {
    player: {
      initial: "off",
      states: {
        off: { on: { A: "on.back", B: "on.deep" } },
        on: {
          initial: "one",
          states: {
            one: { on: { B: "two" }, after: { 100: { target: "two", actions: note("one is over") } } },
            two: {
              initial: "x",
              states: { x: { on: { B: "y" }, after: { long: "y" } }, y: { entry: note("y") } },
            },
            back: { type: "history" },
            deep: { type: "history", history: "deep" },
          },
          on: { A: "off" },
        },
      },
    },
    asker: {
      initial: "idle",
      states: {
        idle: { on: { C: "asking" } },
        asking: {
          invoke: { src: "quick", onDone: { target: "told", actions: note("told") } },
          on: { C: "idle" },
        },
        told: { after: { 50: "idle" }, on: { C: { target: "told", reenter: true } } },
      },
    },
  },
});
const withTasks = base.createMachine({
  id: "tasks",
  type: "parallel",
  context: { notes: [] },
  on: {
    LATER: { actions: raise({ type: "RAISED" }, { delay: 250, id: "later" }) },
    RAISED: { actions: note("raised") },
  },
  states: {
    a: {
      initial: "idle",
      states: {
        idle: { on: { A: "busy.back" }, after: { 300: "busy" } },
        busy: {
          initial: "first",
          states: {
            first: { invoke: { src: "work", input: "first", onDone: { target: "second", actions: note("first") } } },
            second: {
              invoke: { src: "work", input: "second", onDone: { target: "#tasks.a.idle", actions: note("second") } },
            },
            back: { type: "history" },
          },
          on: { B: "idle" },
          after: { long: { target: "idle", actions: note("too long") } },
        },
      },
    },
    b: {
      initial: "x",
      states: {
        x: { on: { C: "y" } },
        y: {
          invoke: { src: "work", input: "y", onDone: "x", onError: { target: "x", actions: note("failed") } },
          on: { A: "x" },
        },
      },
    },
  },
});

const event = fc.record({
  kind: fc.constant("event" as const),
  type: fc.constantFrom("A", "B", "C", "LATER"),
  n: fc.nat(9),
});
const time = fc.record({ kind: fc.constant("time" as const), ms: fc.constantFrom(1, 50, 99, 100, 250, 900) });
const answer = fc.record({ kind: fc.constant("answer" as const), which: fc.nat(2), fails: fc.boolean() });
const crash = fc.record({ kind: fc.constant("crash" as const) });

async function run(
  definition: ReturnType<typeof defineMachine>,
  happenings: readonly Happening[],
  options: TestInstanceOptions = {},
): Promise<unknown[]> {
  const instance = await createTestInstance(definition, options);
  const seen: unknown[] = [];
  for (const happening of happenings) {
    switch (happening.kind) {
      case "event": {
        const { type, n } = happening;
        if (instance.view().status === "running" && instance.can({ type, n })) await instance.send({ type, n });
        break;
      }
      case "time":
        await instance.advance(happening.ms);
        break;
      case "answer": {
        const task = instance.tasks[happening.which];
        await (happening.fails ? task?.fail({ code: "NO" }) : task?.succeed("yes"));
        break;
      }
      case "crash":
        await instance.crash();
        continue;
    }
    const { status, value, context, output, failure } = instance.view();
    const tasks = instance.tasks.map(({ driver: name, payload }) => [name, payload]);
    seen.push({ status, value, context, output, failure, tasks, next: instance.view().nextTimerAt });
  }
  instance.close();
  return seen;
}

test("regions, history, timers and promises: as on XState, with a crash after every step", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(event, time), { maxLength: 25 }), async (happenings) => {
      const steps = happenings.map((one): Step => (one.kind === "time" ? one.ms : { type: one.type }));
      expect(await onErgon(local, steps)).toEqual(await onXState(local, steps));
    }),
    { numRuns: 150 },
  );
});

test("any crashes between the steps of a machine with tasks change nothing", async () => {
  const definition = defineMachine(withTasks);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(event, time, answer, crash), { maxLength: 30 }), async (happenings) => {
      const calm = await run(
        definition,
        happenings.filter(({ kind }) => kind !== "crash"),
      );
      expect(await run(definition, happenings)).toEqual(calm);
      expect(await run(definition, happenings, { crashEachStep: true })).toEqual(calm);
    }),
    { numRuns: 150 },
  );
});

test("parent and child: each message is taken once, in the order of its sender, whatever crashes", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const heard = assign<{ heard: number[] }, { type: string; n: number }, undefined, { type: string; n: number }, never>(
    {
      heard: ({ context, event: { n } }) => [...context.heard, n],
    },
  );
  const child = defineMachine(
    setup({ types: {} as { context: { heard: number[] }; events: { type: string; n: number } } }).createMachine({
      id: "child",
      context: { heard: [] },
      on: {
        A: {
          actions: [
            heard,
            sendParent(({ event: { n } }) => ({ type: "ONE", n })),
            sendParent(({ event: { n } }) => ({ type: "TWO", n: n + 10 })),
          ],
        },
        B: { actions: [heard, sendParent(({ event: { n } }) => ({ type: "ONE", n: n + 20 }), { delay: 100 })] },
      },
      after: { 250: { actions: sendParent({ type: "ONE", n: 99 }) } },
    }),
  );
  const parent = defineMachine(
    setup({
      types: {} as { context: { heard: number[] }; events: { type: string; n: number } },
      actors: { child: machine("child", { id: "kid" }) },
    }).createMachine({
      id: "parent",
      context: { heard: [] },
      invoke: { src: "child", id: "child" },
      on: {
        A: { actions: sendTo("child", ({ event: sent }) => sent) },
        B: { actions: sendTo("child", ({ event: sent }) => sent, { delay: 50 }) },
        ONE: { actions: heard },
        TWO: { actions: heard },
      },
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(event, time, crash), { maxLength: 20 }), async (happenings) => {
      const calm = await run(
        parent,
        happenings.filter(({ kind }) => kind !== "crash"),
        { machines: [child] },
      );
      expect(await run(parent, happenings, { machines: [child] })).toEqual(calm);
      expect(await run(parent, happenings, { machines: [child], crashEachStep: true })).toEqual(calm);
    }),
    { numRuns: 100 },
  );
});

test("any plain data comes back out of a record as it went in", async () => {
  const keeper = defineMachine(
    createMachine({
      id: "keeper",
      context: { value: null as unknown },
      on: { KEEP: { actions: assign({ value: ({ event: sent }) => (sent as unknown as { value: unknown }).value }) } },
    }),
  );
  const data = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, false, new Error("e")),
      fc.date(),
      fc.string({ unit: "grapheme" }),
      fc.double().filter((number) => !Object.is(number, -0)),
      fc.maxSafeInteger(),
      fc.uint8Array({ maxLength: 8 }),
      fc.array(tie("node"), { maxLength: 4 }),
      fc.dictionary(
        fc.string({ unit: "grapheme" }).filter((key) => key !== "__proto__"),
        tie("node"),
        { maxKeys: 4, noNullPrototype: true },
      ),
    ),
  })).node;
  await fc.assert(
    fc.asyncProperty(data, async (value) => {
      const instance = await createTestInstance(keeper);
      await instance.send({ type: "KEEP", value });
      await instance.crash();
      expect((instance.snapshot().context as { value: unknown }).value).toEqual(value);
      await instance.crash();
      expect((instance.snapshot().context as { value: unknown }).value).toEqual(value);
      instance.close();
    }),
    { numRuns: 300 },
  );
});
