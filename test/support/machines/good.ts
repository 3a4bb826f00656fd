import { defineMachine } from "@ergon/core";
import { createMachine } from "xstate";

export const plain = createMachine({
  id: "plain",
  context: {},
  initial: "a",
  states: { a: { on: { go: "b" } }, b: {} },
});
/** One of them a second time: it is still one machine. */
export const several = [
  plain,
  defineMachine(createMachine({ id: "one" }), { version: "2" }),
  createMachine({ id: "one", version: "3" }),
];
export const other = { id: "no machine" };
