// Machines as users of plain JavaScript write them.
import {
  assign,
  createMachine,
  enqueueActions,
  forwardTo,
  fromCallback,
  fromEventObservable,
  fromObservable,
  fromPromise,
  fromTransition,
  sendParent,
  sendTo,
  setup,
  spawnChild,
  stopChild,
} from "xstate";

const note = (text) =>
  assign({
    notes: ({ context }) => [...context.notes, text],
  });
const notes = () => ({ notes: [] });

/** An observable as RxJS would make it: tells each value a promise job later. */
const values = (...items) => ({
  subscribe: (observer) => {
    let open = true;
    void (async () => {
      for (const item of items) {
        await Promise.resolve();
        if (open) observer.next?.(item);
      }
      if (open) observer.complete?.();
    })();
    return {
      unsubscribe: () => {
        open = false;
      },
    };
  },
});

/** What actors in machines do by XState's documentation, each with the steps that show it. */
export const actorCases = [
  [
    "an invoked promise: its output, its error, and its result after its state was left",
    setup({
      actors: {
        good: fromPromise(async ({ input }) => input * 2),
        bad: fromPromise(() => Promise.reject(new RangeError("out of range"))),
      },
    }).createMachine({
      context: { result: undefined, error: undefined },
      initial: "a",
      states: {
        a: {
          invoke: {
            src: "good",
            input: 21,
            onDone: { target: "b", actions: assign({ result: ({ event }) => event.output }) },
          },
        },
        b: { on: { GO: "c" } },
        c: { invoke: { src: "bad", onError: { target: "d", actions: assign({ error: ({ event }) => event.error }) } } },
        d: { on: { BACK: "b" } },
      },
    }),
    [{ type: "GO" }, { type: "BACK" }, { type: "GO" }],
  ],
  [
    "an error of an invoked promise that nobody takes ends the machine",
    createMachine({ invoke: { src: fromPromise(() => Promise.reject(new Error("nobody asked"))) } }),
    [{ type: "ANY" }],
  ],
  [
    "an invoked callback answers what it is sent",
    setup({
      actors: {
        echo: fromCallback(({ sendBack, receive, input }) => {
          receive(({ n }) => sendBack({ type: "ECHO", n: n + input.add }));
        }),
      },
    }).createMachine({
      context: { heard: [] },
      invoke: { src: "echo", id: "echo", input: { add: 100 } },
      on: {
        SAY: { actions: sendTo("echo", ({ event }) => ({ type: "SAY", n: event.n })) },
        ECHO: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.n] }) },
      },
    }),
    [
      { type: "SAY", n: 1 },
      { type: "SAY", n: 2 },
    ],
  ],
  [
    "an invoked observable, and one of events",
    setup({
      actors: {
        numbers: fromObservable(() => values(1, 2, 3)),
        events: fromEventObservable(() => values({ type: "E" })),
      },
    }).createMachine({
      context: { sum: 0, notes: [] },
      initial: "counting",
      states: {
        counting: {
          invoke: {
            src: "numbers",
            onSnapshot: {
              actions: assign({
                sum: ({ context, event }) => context.sum + (event.snapshot.context ?? 0),
              }),
            },
            onDone: "hearing",
          },
        },
        hearing: { invoke: { src: "events", onDone: "end" }, on: { E: { actions: note("e") } } },
        end: { type: "final" },
      },
    }),
    [],
  ],
  [
    "an invoked transition function keeps its state",
    setup({
      actors: { counter: fromTransition((state, event) => state + event.by, 10) },
    }).createMachine({
      context: { last: 0 },
      invoke: {
        src: "counter",
        id: "counter",
        onSnapshot: { actions: assign({ last: ({ event }) => event.snapshot.context }) },
      },
      on: { ADD: { actions: sendTo("counter", ({ event }) => event) } },
    }),
    [
      { type: "ADD", by: 5 },
      { type: "ADD", by: 7 },
    ],
  ],
  [
    "invoked machines inside each other: delays, sendParent, forwardTo, output",
    (() => {
      const inner = createMachine({
        id: "inner",
        context: notes(),
        initial: "waiting",
        states: {
          waiting: {
            after: { 1_000: { target: "told", actions: sendParent({ type: "INNER", late: true }) } },
            on: { POKE: { actions: note("poked") } },
          },
          told: { on: { END: "end" } },
          end: { type: "final" },
        },
        output: ({ context }) => context.notes.length,
      });
      const middle = setup({ actors: { inner: inner } }).createMachine({
        id: "middle",
        context: notes(),
        invoke: { src: "inner", id: "inner", onDone: "#finished" },
        on: {
          POKE: { actions: forwardTo("inner") },
          END: { actions: forwardTo("inner") },
          INNER: { actions: [note("inner spoke"), sendParent({ type: "MIDDLE" }, { delay: 500 })] },
        },
        initial: "working",
        states: { working: {}, finished: { id: "finished", type: "final" } },
        output: { from: "middle" },
      });
      return setup({ actors: { middle: middle } }).createMachine({
        context: notes(),
        invoke: {
          src: "middle",
          id: "middle",
          onDone: { actions: assign({ notes: ({ event }) => [event.output] }) },
        },
        on: {
          POKE: { actions: forwardTo("middle") },
          END: { actions: forwardTo("middle") },
          MIDDLE: { actions: note("middle spoke") },
        },
      });
    })(),
    [400, { type: "POKE" }, 700, 400, 200, { type: "END" }],
  ],
  [
    "spawned actors: in a context, by an action, stopped, and ended",
    (() => {
      const child = createMachine({
        id: "child",
        context: { n: 0 },
        initial: "on",
        states: {
          on: { on: { INC: { actions: assign({ n: ({ context }) => context.n + 1 }) }, END: "end" } },
          end: { type: "final" },
        },
        output: ({ context }) => context.n,
      });
      return setup({ actors: { child: child } }).createMachine({
        context: ({ spawn }) => ({
          first: spawn("child", { id: "first" }),
          more: [],
          ends: [],
        }),
        entry: spawnChild("child", { id: "named", systemId: "the-child" }),
        on: {
          MORE: {
            actions: assign({
              more: ({ context, spawn }) => [...context.more, spawn("child", { id: `more-${context.more.length}` })],
            }),
          },
          INC: {
            actions: [
              sendTo(({ context }) => context.first, { type: "INC" }),
              sendTo(({ system }) => system.get("the-child"), { type: "INC" }),
              enqueueActions(({ context, enqueue }) => {
                for (const ref of context.more) enqueue.sendTo(ref, { type: "INC" });
              }),
            ],
          },
          END: { actions: sendTo("more-0", { type: "END" }) },
          STOP: { actions: stopChild("named") },
          "xstate.done.actor.*": {
            actions: assign({ ends: ({ context, event }) => [...context.ends, [event.actorId, event.output]] }),
          },
        },
      });
    })(),
    [
      { type: "INC" },
      { type: "MORE" },
      { type: "INC" },
      { type: "MORE" },
      { type: "INC" },
      { type: "END" },
      { type: "STOP" },
    ],
  ],
  [
    "a spawned machine that is followed (syncSnapshot)",
    (() => {
      const child = createMachine({
        id: "child",
        initial: "a",
        states: { a: { after: { 100: "b" } }, b: { after: { 100: "c" } }, c: {} },
      });
      return setup({ actors: { child } }).createMachine({
        context: { seen: [] },
        entry: spawnChild("child", { id: "kid", syncSnapshot: true }),
        on: {
          "xstate.snapshot.kid": {
            actions: assign({ seen: ({ context, event }) => [...context.seen, event.snapshot.value] }),
          },
        },
      });
    })(),
    [100, 100],
  ],
  [
    "actors of one machine send to each other",
    (() => {
      const ping = createMachine({
        id: "ping",
        context: { left: 3 },
        on: {
          BALL: {
            guard: ({ context }) => context.left > 0,
            actions: [
              assign({ left: ({ context }) => context.left - 1 }),
              sendTo(({ system }) => system.get("pong"), { type: "BALL" }, { delay: 10 }),
            ],
          },
        },
      });
      const pong = createMachine({
        id: "pong",
        context: { hits: 0 },
        on: {
          BALL: {
            actions: [
              assign({ hits: ({ context }) => context.hits + 1 }),
              sendTo(({ system }) => system.get("ping"), { type: "BALL" }, { delay: 10 }),
            ],
          },
        },
      });
      return setup({ actors: { ping: ping, pong: pong } }).createMachine({
        invoke: [
          { src: "ping", id: "a", systemId: "ping" },
          { src: "pong", id: "b", systemId: "pong" },
        ],
        on: { START: { actions: sendTo("a", { type: "BALL" }) } },
      });
    })(),
    [{ type: "START" }, 15, 10, 10, 100],
  ],
];
