import { defineMachine } from "@ergon/core";
import { createMachine } from "xstate";

import { order } from "../../../examples/order.ts";

/** The order of the examples, and one that takes over its drafts; those that wait for a payment have no way. */
export const machines = [
  order,
  defineMachine(
    createMachine({
      id: "order",
      context: { amount: 0 },
      initial: "open",
      states: { open: { on: { close: "closed" } }, closed: { type: "final" } },
    }),
    {
      version: "2",
      migrate: {
        1: ({ value }) => {
          if (value !== "draft") throw new Error(`no way from ${JSON.stringify(value)}`);
          return { value: "open" };
        },
      },
    },
  ),
];
