import { defineMachine, driver, machine, type Machine } from "@ergon/core";
import { assign, sendParent, sendTo, setup } from "xstate";

/** Says back whatever it is told. */
export const echo: Machine = defineMachine(
  setup({
    types: {} as { context: { heard: number[] }; events: { type: "SAY"; n: number } | { type: "END" } },
  }).createMachine({
    id: "echo",
    context: { heard: [] },
    initial: "on",
    states: {
      on: {
        on: {
          SAY: {
            actions: [
              assign({ heard: ({ context, event }) => [...context.heard, event.n] }),
              sendParent(({ event }) => ({ type: "ECHO", n: event.n })),
            ],
          },
          END: "end",
        },
      },
      end: { type: "final" },
    },
    output: ({ context }) => context.heard,
  }),
);

export interface Trip {
  readonly name: string;
  readonly done: readonly string[];
  readonly echoes: readonly number[];
  readonly heard: unknown;
}

const tripSetup = setup({
  types: {} as {
    context: Trip;
    input: { name: string };
    events: { type: "GO" } | { type: "ECHO"; n: number };
  },
  actors: {
    echo: machine<undefined, number[]>("echo"),
    work: driver<string, string>("work", {
      task: { maxLost: 1_000, attemptTimeout: "30s", retry: { maxAttempts: 100, initial: 100, max: 2_000 } },
    }),
  },
});

const step = (number: number, next: string, ...said: number[]) =>
  tripSetup.createStateConfig({
    entry: said.map((n) => tripSetup.sendTo("echo", { type: "SAY", n })),
    invoke: {
      src: "work",
      input: ({ context }) => `${context.name} ${number}`,
      onDone: { target: next, actions: assign({ done: ({ context, event }) => [...context.done, event.output] }) },
    },
  });

/** Three tasks with pauses between them, and a child that is told numbers meanwhile. */
export const trip: Machine = defineMachine(
  tripSetup.createMachine({
    id: "trip",
    context: ({ input }) => ({ name: input.name, done: [], echoes: [], heard: undefined }),
    invoke: {
      id: "echo",
      src: "echo",
      onDone: { target: ".end", actions: assign({ heard: ({ event }) => event.output }) },
    },
    on: { ECHO: { actions: assign({ echoes: ({ context, event }) => [...context.echoes, event.n] }) } },
    initial: "draft",
    states: {
      draft: { on: { GO: "first" } },
      first: step(1, "pause", 1, 2, 3),
      pause: { after: { 700: "second" } },
      second: step(2, "rest", 4),
      rest: { after: { 1_500: "third" } },
      third: step(3, "closing", 5, 6),
      closing: { entry: sendTo("echo", { type: "END" }) },
      end: { type: "final" },
    },
    output: ({ context }) => context,
  }),
);

/** What becomes of a trip, whatever crashes. `answer`: what an agent makes of a step. */
export function tripEnd(name: string, answer: (step: string) => string): Trip {
  const numbers = [1, 2, 3, 4, 5, 6];
  return { name, done: [1, 2, 3].map((step) => answer(`${name} ${step}`)), echoes: numbers, heard: numbers };
}
