// The machines that the bench runs: each node process loads this file.
import { driver } from "@ergon/core";
import { assign, createMachine, setup } from "xstate";

/** Two states and one event, nothing else. */
export const flips = createMachine({
  id: "flips",
  initial: "a",
  states: { a: { on: { flip: "b" } }, b: { on: { flip: "a" } } },
});

const names = ["first", "second", "third", "fourth", "fifth"];

/** Five tasks, one after the other: each gets what the one before it has answered. */
export const five = setup({
  types: {} as { input: Uint8Array; context: { data: unknown } },
  actors: { work: driver("bench") },
}).createMachine({
  id: "five",
  context: ({ input }) => ({ data: input }),
  initial: "first",
  states: {
    ...Object.fromEntries(
      names.map((name, index) => [
        name,
        {
          invoke: {
            src: "work" as const,
            input: ({ context }: { context: { data: unknown } }) => context.data,
            onDone: { target: names[index + 1] ?? "done", actions: assign({ data: ({ event }) => event.output }) },
          },
        },
      ]),
    ),
    done: { type: "final" },
  },
  output: ({ context }) => context.data,
});

/** Waits until a time, epoch milliseconds, and ends. */
export const waits = setup({
  types: {} as { input: { dueAt: number }; context: { dueAt: number } },
  delays: { due: ({ context }) => Math.max(0, context.dueAt - Date.now()) },
}).createMachine({
  id: "waits",
  context: ({ input }) => input,
  initial: "waiting",
  states: { waiting: { after: { due: "done" } }, done: { type: "final" } },
});

export const machinesFile = import.meta.filename;
