// Customers of examples/machines/order.ts, and the person who approves.

import { connect } from "@ergon/core";

const client = await connect({ nats: { servers: process.env["NATS_URL"] ?? "nats://127.0.0.1:4222" } });
const timeoutMs = 10_000;

/** The id makes it one order, however often it is placed. */
async function place(id: string, order: { item: string; amount: number; approveWithinMs?: number }) {
  const placed = await client.start("order", order, { id });
  await placed.wait({ tag: "for-a-person", timeoutMs });
  return placed;
}

const approved = await place("order-1", { item: "book", amount: 20 });
console.log("order-1 takes", (await approved.can()).events);
await approved.send({ type: "approve" });

const rejected = await place("order-2", { item: "lamp", amount: 50 });
await rejected.send({ type: "reject", why: "out of stock" });

const tooHeavy = await place("order-3", { item: "piano", amount: 900 });
await tooHeavy.send({ type: "approve" });

const cancelled = await place("order-4", { item: "chair", amount: 80 });
await cancelled.cancel();

const forgotten = await place("order-5", { item: "pen", amount: 2, approveWithinMs: 200 });
const refused = await place("order-6", { item: "yacht", amount: 2_000_000 });

for (const order of [approved, rejected, tooHeavy, cancelled, forgotten, refused]) {
  const { id, state, output } = await order.wait({ timeoutMs });
  console.log(`${id} is ${state}:`, output);
}
await client.close();
