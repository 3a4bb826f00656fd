import { defineMachine, driver, type Machine } from "@ergon/core";
import { assign, setup } from "xstate";

export interface Errand {
  readonly name: string;
  readonly done: readonly string[];
}

const errandSetup = setup({
  types: {} as { context: Errand; input: { name: string } },
  actors: { work: driver<string, string>("work", { task: { attemptTimeout: "10m", arguments: { ms: "20" } } }) },
});

const way = (target: string) =>
  errandSetup.createStateConfig({
    invoke: {
      src: "work",
      input: ({ context }) => context.done.at(-1) ?? context.name,
      onDone: { target, actions: assign({ done: ({ context, event }) => [...context.done, event.output] }) },
    },
  });

/** A task, a while, and a task that gets what the first has answered. */
export const errand: Machine = defineMachine(
  errandSetup.createMachine({
    id: "errand",
    context: ({ input }) => ({ name: input.name, done: [] }),
    initial: "out",
    states: {
      out: way("there"),
      there: { after: { 800: "back" } },
      back: way("home"),
      home: { type: "final" },
    },
    output: ({ context }) => context,
  }),
);
