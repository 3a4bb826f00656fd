// The customers of examples/machines/order.ts, and the person who approves their orders.

import { connect } from "@ergon/core";

const client = await connect({ nats: { servers: process.env["NATS_URL"] ?? "nats://127.0.0.1:4222" } });
const timeoutMs = 10_000;

/** The id is unique: a second start with the same id is the same order. */
const order = (id: string, what: { item: string; amount: number; approveWithinMs?: number }) =>
  client.start("purchase", what, { id });

async function place(id: string, item: string, amount: number) {
  const placed = await order(id, { item, amount });
  await placed.wait({ tag: "for-a-person", timeoutMs });
  return placed;
}

const approved = await place("order-1", "book", 20);
console.log("order-1 takes", (await approved.can()).events);
await approved.send({ type: "approve" });

const rejected = await place("order-2", "lamp", 50);
await rejected.send({ type: "reject", why: "out of stock" });

const tooHeavy = await place("order-3", "piano", 900);
await tooHeavy.send({ type: "approve" });

// The cancel may come at any moment: if the order was paid by then, the money goes back.
const cancelled = await order("order-4", { item: "chair", amount: 80 });
await cancelled.cancel();

const forgotten = await order("order-5", { item: "pen", amount: 2, approveWithinMs: 200 });
const refused = await order("order-6", { item: "yacht", amount: 2_000_000 });

for (const one of [approved, rejected, tooHeavy, cancelled, forgotten, refused]) {
  const { id, state, output } = await one.wait({ timeoutMs });
  console.log(`${id} is ${state}:`, output);
}
await client.close();
