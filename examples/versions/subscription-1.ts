// The first version of a machine that runs for months. subscription-2.ts is the second. These commands lead from one to the other:
//
//   ./ergon dev --machines examples/versions/subscription-1.ts --store .ergon/data
//   ./ergon start subscription '{"cents": 500}' --id ann                      in a second terminal
//   ./ergon check --machines examples/versions/subscription-2.ts              ann fits: she moves to version 2
//   Stop the first version (Ctrl-C), and start the second one on the same folder:
//   ./ergon dev --machines examples/versions/subscription-2.ts --store .ergon/data
//   ./ergon get ann                                                           version 2, 5 euros

import { setup } from "xstate";

export const subscription = setup({
  types: {} as { input: { cents: number }; context: { cents: number }; events: { type: "cancel" } },
  delays: { month: 2_592_000_000 },
}).createMachine({
  id: "subscription",
  version: "1",
  context: ({ input }) => input,
  initial: "trial",
  states: {
    trial: { on: { cancel: "ended" }, after: { month: "paying" } },
    paying: { on: { cancel: "ended" } },
    ended: { type: "final" },
  },
});
