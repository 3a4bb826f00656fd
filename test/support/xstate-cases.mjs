// Machines as users of plain JavaScript write them.
import { assign, cancel, createMachine, emit, enqueueActions, raise, setup, stateIn } from "xstate";

const note = (text) =>
  assign({
    notes: ({ context }) => [...context.notes, text],
  });
const notes = () => ({ notes: [] });

/** What machines do by XState's documentation, each with the steps that show it. */
export const cases = [
  [
    "delays: after, named delays, delays of the context, and those that a transition takes back",
    setup({
      types: {},
      delays: { long: 5_000, own: ({ context }) => context.wait },
    }).createMachine({
      context: { wait: 700, notes: [] },
      initial: "a",
      states: {
        a: { after: { 100: { actions: note("100") }, 300: "b" }, on: { AGAIN: { target: "a", reenter: true } } },
        b: { after: { own: "c" } },
        c: { after: { long: "d" }, on: { BACK: "a" } },
        d: { type: "final" },
      },
    }),
    [150, { type: "AGAIN" }, 250, 60, 600, 200, { type: "BACK" }, 5_000, 5_000],
  ],
  [
    "several delays of one state at the same moment",
    createMachine({
      context: notes(),
      initial: "a",
      states: {
        a: {
          after: {
            1_000: [{ guard: ({ context }) => context.notes.length > 3, target: "b" }, { actions: note("first") }],
          },
          initial: "inner",
          states: { inner: { after: { 1_000: { target: "other", actions: note("inner") } } }, other: {} },
        },
        b: {},
      },
    }),
    [999, 1, 1_000],
  ],
  [
    "raise with a delay, and cancel",
    createMachine({
      context: notes(),
      entry: [
        raise({ type: "TICK" }, { delay: 1_000, id: "tick" }),
        raise({ type: "TOCK" }, { delay: 2_000, id: "tock" }),
      ],
      on: {
        TICK: { actions: note("tick") },
        TOCK: { actions: note("tock") },
        STOP: { actions: cancel("tock") },
        NOW: { actions: [raise({ type: "TICK" }), note("now")] },
      },
    }),
    [500, { type: "NOW" }, 500, { type: "STOP" }, 2_000],
  ],
  [
    "raise again under the same id",
    createMachine({
      context: notes(),
      on: {
        SET: { actions: raise({ type: "TICK" }, { delay: 1_000, id: "tick" }) },
        RESET: { actions: [cancel("tick"), raise({ type: "TICK" }, { delay: 1_000, id: "tick" })] },
        TICK: { actions: note("tick") },
      },
    }),
    [{ type: "SET" }, 600, { type: "RESET" }, 600, 600],
  ],
  [
    "parallel regions, their delays, and onDone of all",
    createMachine({
      type: "parallel",
      context: notes(),
      states: {
        up: { initial: "a", states: { a: { after: { 100: "b" } }, b: { on: { GO: "c" } }, c: { type: "final" } } },
        down: {
          initial: "x",
          states: { x: { on: { GO: "y" } }, y: { after: { 50: "z" }, on: { GO: "x" } }, z: { type: "final" } },
        },
      },
      onDone: { actions: note("done") },
      output: "both",
    }),
    [{ type: "GO" }, 60, 50, { type: "GO" }, 100],
  ],
  [
    "shallow and deep history, of nested and of parallel states",
    createMachine({
      initial: "on",
      states: {
        off: { on: { SHALLOW: "on.shallow", DEEP: "on.deep", REGIONS: "regions.back" } },
        on: {
          initial: "a",
          states: {
            a: { on: { NEXT: "b" } },
            b: { initial: "b1", states: { b1: { on: { NEXT: "b2" } }, b2: {} } },
            shallow: { type: "history" },
            deep: { type: "history", history: "deep" },
          },
          on: { OFF: "off" },
        },
        regions: {
          type: "parallel",
          states: {
            p: { initial: "p1", states: { p1: { on: { P: "p2" } }, p2: {} } },
            q: { initial: "q1", states: { q1: { on: { Q: "q2" } }, q2: {} } },
            back: { type: "history", history: "deep" },
          },
          on: { OFF: "off" },
        },
      },
    }),
    [
      ...[
        "NEXT",
        "NEXT",
        "OFF",
        "SHALLOW",
        "NEXT",
        "OFF",
        "DEEP",
        "OFF",
        "REGIONS",
        "Q",
        "OFF",
        "REGIONS",
        "OFF",
        "DEEP",
      ].map((type) => ({ type })),
    ],
  ],
  [
    "history of states whose keys and ids have dots",
    createMachine({
      id: "shop.order",
      initial: "on",
      states: {
        off: {},
        on: {
          initial: "v1.0",
          states: {
            "v1.0": { on: { NEXT: "own" } },
            own: { id: "my.own", on: { NEXT: "v2\\.0" } },
            "v2.0": {},
            last: { type: "history" },
          },
          on: { OFF: "off", BACK: ".last" },
        },
      },
      on: { RETURN: ".on.last" },
    }),
    [{ type: "NEXT" }, { type: "OFF" }, { type: "RETURN" }, { type: "NEXT" }, { type: "OFF" }, { type: "RETURN" }],
  ],
  [
    "always, with guards that look at the context and at other regions",
    createMachine({
      type: "parallel",
      context: { count: 0 },
      states: {
        counter: {
          initial: "low",
          states: { low: { always: { guard: ({ context }) => context.count >= 2, target: "high" } }, high: {} },
        },
        lamp: {
          initial: "dark",
          states: { dark: { always: { guard: stateIn({ counter: "high" }), target: "lit" } }, lit: {} },
        },
      },
      on: { INC: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
    }),
    [{ type: "INC" }, { type: "INC" }, { type: "INC" }],
  ],
  [
    "emit, and enqueueActions with check and raise",
    createMachine({
      context: { n: 0 },
      on: {
        GO: {
          actions: enqueueActions(({ context, enqueue, check }) => {
            enqueue.assign({ n: context.n + 1 });
            enqueue.emit({ type: "went", n: context.n });
            if (check(({ context: now }) => now.n > 0)) enqueue.raise({ type: "AGAIN" }, { delay: 10 });
          }),
        },
        AGAIN: { actions: emit(({ context }) => ({ type: "again", n: context.n })) },
      },
    }),
    [{ type: "GO" }, { type: "GO" }, 10],
  ],
  [
    "wildcards, and partial ones",
    createMachine({
      context: notes(),
      on: { "mouse.*": { actions: note("mouse") }, "*": { actions: note("any") }, KEY: { actions: note("key") } },
    }),
    [{ type: "mouse.click.left" }, { type: "mouse" }, { type: "KEY" }, { type: "else" }],
  ],
  [
    "input, outputs of nested final states, and of the machine",
    createMachine({
      context: ({ input }) => ({ n: input.n, got: undefined }),
      initial: "step",
      states: {
        step: {
          initial: "one",
          states: {
            one: { on: { GO: "end" } },
            end: { type: "final", output: ({ context }) => ({ twice: context.n * 2 }) },
          },
          onDone: {
            target: "end",
            actions: assign({ got: ({ event }) => event.output }),
          },
        },
        end: { type: "final", output: "leaf" },
      },
      output: ({ context, event }) => [context.got, event.output],
    }),
    [{ type: "GO" }],
    { input: { n: 4 } },
  ],
  [
    "an action that throws",
    createMachine({
      on: {
        GO: {
          actions: () => {
            throw new Error("no action");
          },
        },
      },
    }),
    [{ type: "GO" }, { type: "GO" }],
  ],
  [
    "a delayed action that throws",
    createMachine({
      initial: "a",
      states: {
        a: { after: { 100: "b" } },
        b: {
          entry: () => {
            throw new Error("no entry");
          },
        },
      },
    }),
    [100, { type: "GO" }],
  ],
  [
    "an invoked machine that throws is its parent's error",
    setup({
      actors: {
        child: createMachine({
          initial: "a",
          states: {
            a: { after: { 10: "b" } },
            b: {
              entry: () => {
                throw new Error("child broke");
              },
            },
          },
        }),
      },
    }).createMachine({
      context: { error: undefined },
      invoke: { src: "child", onError: { actions: assign({ error: ({ event }) => event.error }) } },
    }),
    [10, 10],
  ],
  [
    "values that JSON has no word for",
    createMachine({
      context: {
        at: new Date(5),
        bytes: new Uint8Array([1, 2]),
        none: undefined,
        nan: NaN,
        list: [undefined, null],
        error: new TypeError("t"),
      },
      on: { GO: { actions: assign({ none: 1 }) } },
    }),
    [{ type: "GO" }],
  ],
];
