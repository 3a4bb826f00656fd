import { createMachine } from "xstate";

export const lost = createMachine({
  id: "lost",
  initial: "here",
  states: { here: { on: { go: "nowhere" } } },
});
