// The agents for examples/machines/order.ts: payment, shipping and refund. An attempt may run twice; the bank makes one payment per task id.

import { createAgent, TerminalError } from "@ergon/agents";

import type { Order } from "./order.ts";

const agent = createAgent({
  nats: { servers: process.env["NATS_URL"] ?? "nats://127.0.0.1:4222" },
  drivers: [
    {
      driver: "payment",
      handler: (attempt) => {
        const { amount } = attempt.json<Order>();
        if (amount > 1_000) throw new TerminalError("NO_COVER", `there is no cover for ${amount}`);
        return { receipt: `paid by ${attempt.taskId}` };
      },
    },
    {
      driver: "shipping",
      handler: (attempt) => {
        const { item } = attempt.json<Order>();
        if (item === "piano") throw new TerminalError("TOO_HEAVY", "nobody carries a piano");
        return { tracking: `a parcel with one ${item}` };
      },
    },
    { driver: "refund", handler: (attempt) => ({ refunded: attempt.json<{ receipt: string }>().receipt }) },
  ],
});
await agent.start();
console.log("paying, shipping and refunding");
