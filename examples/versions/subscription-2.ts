// The second version of subscription-1.ts: `trial` is now called `free`, an upgrade can end it early, and money is counted in euros. Instances of the
// first version migrate in any state, and keep the rest of their month.

import { defineMachine } from "@ergon/core";
import { setup } from "xstate";

const logic = setup({
  types: {} as {
    input: { euros: number };
    context: { euros: number };
    events: { type: "cancel" } | { type: "upgrade" };
  },
  delays: { month: 2_592_000_000 },
}).createMachine({
  id: "subscription",
  version: "2",
  context: ({ input }) => input,
  initial: "free",
  states: {
    free: { on: { cancel: "ended", upgrade: "paying" }, after: { month: "paying" } },
    paying: { on: { cancel: "ended" } },
    ended: { type: "final" },
  },
});

export const subscription = defineMachine(logic, {
  migrate: {
    1: ({ value, context, timers }) => ({
      value: value === "trial" ? "free" : value,
      context: { euros: (context["cents"] as number) / 100 },
      // The name of a timer contains its state: xstate.after.month.subscription.trial
      timers: timers.map(({ id, due, event }) => ({ id: renamed(id), due, event: { type: renamed(event.type) } })),
    }),
  },
});

function renamed(timer: string): string {
  return timer.replace(/\.trial$/, ".free");
}
