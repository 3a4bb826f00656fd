import { compile, taskMachine, type Step } from "@ergon/core/engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assign, cancel, createMachine, initialTransition, raise, transition, type AnyStateMachine } from "xstate";

import { T0, eventNames, events, specOf } from "../support/task-subject.ts";

/** What a step asks for: an effect, a timer that is set, or one that is cleared. */
type Asked = readonly [type: string, ...details: unknown[]];
interface Event {
  readonly type: string;
}

/** A machine as XState steps it, or as its tables do. */
interface Stepper {
  readonly value: unknown;
  readonly context: unknown;
  readonly isDone: boolean;
  readonly asked: readonly Asked[];
  take(event: Event): void;
}

function byXState(logic: AnyStateMachine, input: unknown): Stepper {
  let [snapshot, actions] = initialTransition(logic, input as never);
  return {
    get value() {
      return snapshot.value as unknown;
    },
    get context() {
      return snapshot.context as unknown;
    },
    get isDone() {
      return snapshot.status === "done";
    },
    get asked() {
      return actions.flatMap((action): Asked[] => {
        const { type, params } = action as { readonly type: string; readonly params: unknown };
        const { id, delay, event, sendId } = (params ?? {}) as Record<string, unknown>;
        if (type === "xstate.raise") return delay === undefined ? [] : [["set", id, delay, event]];
        return type === "xstate.cancel" ? [["clear", sendId]] : [[type, params]];
      });
    },
    take: (event) => {
      [snapshot, actions] = transition(logic, snapshot, event);
    },
  };
}

function byTables(logic: AnyStateMachine, input: unknown): Stepper {
  const machine = compile(logic);
  let asked: Asked[] = [];
  const step: Step = {
    context: {},
    act: (type, params) => asked.push([type, params]),
    setTimer: (id, delayMs, event) => asked.push(["set", id, delayMs, event]),
    clearTimer: (id) => asked.push(["clear", id]),
  };
  let leaf = machine.begin(input, step);
  return {
    get value() {
      return leaf.value;
    },
    get context() {
      return step.context;
    },
    get isDone() {
      return leaf.isFinal;
    },
    get asked() {
      return asked;
    },
    take: (event) => {
      asked = [];
      leaf = machine.take(leaf, event, step);
    },
  };
}

const seen = ({ value, context, isDone, asked }: Stepper): object => ({ value, context, isDone, asked });

/** Takes the events in both ways, up to the first one after which the two differ. */
function expectSame(logic: AnyStateMachine, input: unknown, taken: readonly Event[]): void {
  const [one, other] = [byXState(logic, input), byTables(logic, input)];
  expect(seen(other)).toEqual(seen(one));
  for (const event of taken) {
    if (one.isDone) return;
    one.take(event);
    other.take(event);
    expect({ event, ...seen(other) }).toEqual({ event, ...seen(one) });
  }
}

describe("the task machine", () => {
  const timers = ["total", "due", "queue", "attempt", "grace", "backoff"].flatMap((delay) =>
    [
      "live",
      "live.delayed",
      "live.ready",
      "live.offered",
      "live.unserved",
      "live.started",
      "live.backoff",
      "live.cancelling",
    ].map((state) => `xstate.after.${delay}.task.${state}`),
  );
  const moment = fc.record({
    type: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...eventNames) },
      { weight: 1, arbitrary: fc.constantFrom(...timers) },
    ),
    offset: fc.constantFrom(0, 0, 0, 1, -1),
    afterMs: fc.nat({ max: 90_000 }),
    chance: fc.double({ min: 0, max: 0.999, noNaN: true }),
  });

  test("the task machine does in tables what it does in XState, for any life", () => {
    expect(() =>
      fc.assert(
        fc.property(
          fc.record({
            options: fc.record(
              { maxLost: fc.nat({ max: 2 }), attemptTimeoutMs: fc.integer({ min: 1, max: 60_000 }) },
              { requiredKeys: [] },
            ),
            notBefore: fc.option(fc.constant(T0 + 30_000), { nil: undefined }),
            batch: fc.option(fc.constant("b"), { nil: undefined }),
            agent: fc.option(fc.constant("a"), { nil: undefined }),
            moments: fc.array(moment, { maxLength: 40 }),
          }),
          ({ options, notBefore, batch, agent, moments }) => {
            let [at, attempt] = [T0, 1];
            const taken = moments.map(({ type, offset, afterMs, chance }) => {
              at += afterMs;
              if (offset === 1) attempt += 1;
              const known = (events as Record<string, object>)[type] ?? { type };
              return { ...known, type, at, chance, ...("attempt" in known ? { attempt: attempt + offset } : {}) };
            });
            expectSame(
              taskMachine.logic,
              { spec: specOf(options, notBefore === undefined ? {} : { notBefore }), at: T0, chance: 0, batch, agent },
              taken,
            );
          },
        ),
        { numRuns: 300 },
      ),
    ).not.toThrow();
  });
});

/** A chart of three levels at most. Each state has the events that it takes, with targets by the number of a state. */
interface Chart {
  readonly children: readonly Chart[];
  readonly isFinal: boolean;
  readonly on: readonly (readonly [
    event: string,
    target: number | undefined,
    guard: boolean,
    reenter: boolean,
    raises: boolean,
  ])[];
  readonly always: number | undefined;
  readonly after: number | undefined;
}

const chart = (depth: number): fc.Arbitrary<Chart> =>
  fc.record({
    children: depth === 0 ? fc.constant([]) : fc.array(chart(depth - 1), { maxLength: 3 }),
    isFinal: fc.boolean(),
    on: fc.array(
      fc.tuple(
        fc.constantFrom("a", "b", "c"),
        fc.option(fc.nat({ max: 20 }), { nil: undefined }),
        fc.boolean(),
        fc.boolean(),
        fc.boolean(),
      ),
      { maxLength: 3 },
    ),
    always: fc.option(fc.nat({ max: 20 }), { nil: undefined, freq: 3 }),
    after: fc.option(fc.nat({ max: 20 }), { nil: undefined, freq: 3 }),
  });

const count = assign({ n: ({ context }: { context: { n: number } }) => context.n + 1 });

function machineOf(root: Chart): AnyStateMachine {
  const ids: string[] = [];
  const name = (node: Chart, id: string): void => {
    ids.push(id);
    for (const [index, child] of node.children.entries()) name(child, `${id}_${index}`);
  };
  name(root, "r");
  const idOf = (target: number): string => `#${ids[target % ids.length] ?? "r"}`;
  const configOf = (node: Chart, id: string, depth: number): object => {
    const isLeaf = node.children.length === 0;
    if (isLeaf && node.isFinal && depth === 1) return { id, type: "final", entry: `in ${id}`, exit: `out ${id}` };
    return {
      id,
      entry: [`in ${id}`, count],
      exit: { type: `out ${id}`, params: ({ context }: { context: object }) => context },
      ...(isLeaf
        ? {}
        : {
            initial: "s0",
            states: Object.fromEntries(
              node.children.map((child, index) => [`s${index}`, configOf(child, `${id}_${index}`, depth + 1)]),
            ),
          }),
      on: Object.fromEntries(
        ["a", "b", "c"].map((event) => [
          event,
          node.on
            .filter(([of]) => of === event)
            .map(([, target, guarded, reenter, raises]) => ({
              ...(target === undefined ? {} : { target: idOf(target) }),
              reenter,
              guard: raises ? "few" : guarded ? { type: "every", params: { of: 2 } } : undefined,
              actions: [{ type: `do ${event}` }, count, ...(raises ? [raise({ type: "b" })] : [cancel("later")])],
            })),
        ]),
      ),
      ...(node.always === undefined ? {} : { always: { guard: "few", target: idOf(node.always), actions: count } }),
      ...(node.after === undefined ? {} : { after: { soon: { target: idOf(node.after), actions: `after ${id}` } } }),
    };
  };
  return createMachine(
    { ...configOf(root, "r", 0), context: ({ input }: { input: number }) => ({ n: input }) } as never,
    {
      guards: {
        few: ({ context }) => (context as { n: number }).n < 30,
        every: ({ context }, params) => (context as { n: number }).n % (params as unknown as { of: number }).of === 0,
      },
      delays: { soon: ({ context }) => (context as { n: number }).n * 10 },
    },
  );
}

describe("any machine of one path of states", () => {
  test("any machine of one path of states does in tables what it does in XState", () => {
    expect(() =>
      fc.assert(
        fc.property(
          chart(2),
          fc.array(fc.constantFrom("a", "b", "c", "unknown", "xstate.after.soon.r_0", "xstate.after.soon.r"), {
            maxLength: 20,
          }),
          (root, types) => {
            expectSame(
              machineOf(root),
              1,
              types.map((type) => ({ type })),
            );
          },
        ),
        { numRuns: 300 },
      ),
    ).not.toThrow();
  });

  test.each([
    ["a parallel state", { type: "parallel", states: { a: {}, b: {} } }, "is a parallel state"],
    ["a history state", { initial: "a", states: { a: {}, h: { type: "history" } } }, "is a history state"],
    ["an actor", { initial: "a", states: { a: { invoke: { src: "x" } } } }, "invokes an actor"],
    ["a wildcard", { initial: "a", states: { a: { on: { "*": "a" } } } }, "takes *"],
    [
      "an inner end",
      { initial: "a", states: { a: { initial: "b", states: { b: { type: "final" } } } } },
      "final state inside",
    ],
    ["an output", { initial: "a", output: 1, states: { a: {} } }, "has an output"],
    ["a guard that is missing", { on: { a: { guard: "x" } } }, "guard x is not implemented"],
  ])("the compiler refuses a machine with %s", (_, config, message) => {
    expect(() => compile(createMachine(config as never))).toThrow(message);
  });

  test("a value that names no state, or not the innermost one, is refused", () => {
    const machine = compile(createMachine({ initial: "a", states: { a: { initial: "b", states: { b: {} } }, c: {} } }));

    expect(machine.leafOf({ a: "b" }).value).toEqual({ a: "b" });
    for (const value of [
      "a",
      "x",
      { a: "x" },
      { c: "b" },
      { a: "b", c: {} },
      {},
      null,
      5,
      "toString",
      { __proto__: "b" },
    ])
      expect(() => machine.leafOf(value)).toThrow("is not a state");
  });
});
