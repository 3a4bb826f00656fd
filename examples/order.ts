// A machine that a node runs durably.
//
//   ./ergon dev --machines examples/order.ts
//   ./ergon start order '{"amount": 5}' --id order-42            in a second terminal

import { driver } from "@ergon/core";
import { assign, setup } from "xstate";

export const order = setup({
  types: {} as { input: { amount: number }; context: { amount: number; receipt?: unknown } },
  actors: { payment: driver<{ amount: number }>("echo") },
}).createMachine({
  id: "order",
  context: ({ input }) => ({ amount: input.amount }),
  initial: "draft",
  states: {
    draft: { on: { confirm: "paying" } },
    paying: {
      invoke: {
        src: "payment",
        input: ({ context }) => ({ amount: context.amount }),
        onDone: { target: "paid", actions: assign({ receipt: ({ event }) => event.output }) },
        onError: "refused",
      },
    },
    paid: { on: { ship: "closed" }, after: { 86_400_000: "closed" } },
    closed: { type: "final" },
    refused: { type: "final" },
  },
  output: ({ context }) => context.receipt,
});
