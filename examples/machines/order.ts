// An order that is paid, approved by a person, and shipped. Any failure after the payment refunds the money.
//
//   ./ergon dev --machines examples/machines/order.ts
//   node scripts/bootstrap.mjs examples/machines/order-agents.ts       in a second terminal: the agents that pay, ship and refund
//   node scripts/bootstrap.mjs examples/machines/order-client.ts       in a third terminal: the customers, and the person who approves

import { driver } from "@ergon/core";
import { assign, setup } from "xstate";

export interface Order {
  readonly item: string;
  readonly amount: number;
  /** The time for the approval, in milliseconds. @defaultValue two days */
  readonly approveWithinMs?: number;
}

interface Context extends Order {
  readonly payment?: { readonly receipt: string };
  readonly parcel?: { readonly tracking: string };
  readonly cancelled?: true;
  readonly why?: string;
}

const DAY_MS = 86_400_000;

/** A refund is owed, so its task retries for a week instead of giving up after three attempts. */
const forAWeek = { retry: { maxAttempts: 1_000, initial: "1s", max: "10m" }, totalTimeout: "7d" };

/** The error of a task that has failed for good. */
interface Failure {
  readonly message: string;
  readonly retryable: boolean;
}
const message = ({ event }: { event: { error: unknown } }): string => (event.error as Failure).message;

export const order = setup({
  types: {} as {
    input: Order;
    context: Context;
    events: { type: "approve" } | { type: "reject"; why: string } | { type: "cancel" } | { type: "settled" };
  },
  actors: {
    payment: driver<Order, { receipt: string }>("payment", { task: { attemptTimeout: "30s" } }),
    shipping: driver<Order, { tracking: string }>("shipping", { task: { retry: { maxAttempts: 5 } } }),
    refund: driver<{ receipt: string }>("refund", { task: forAWeek }),
  },
  guards: {
    isCancelled: ({ context }) => context.cancelled === true,
    isFinal: ({ event }) => (event as unknown as { error: Failure }).error.retryable === false,
  },
  delays: { approval: ({ context }) => context.approveWithinMs ?? 2 * DAY_MS },
}).createMachine({
  id: "purchase",
  context: ({ input }) => input,
  // Every state takes the cancel, so that it never stops a payment or a refund half way. It has an effect until shipping begins.
  on: { cancel: { actions: assign({ cancelled: true }) } },
  initial: "paying",
  states: {
    paying: {
      invoke: {
        src: "payment",
        input: ({ context }) => context,
        onDone: { target: "waiting", actions: assign({ payment: ({ event }) => event.output }) },
        onError: [
          { guard: "isFinal", target: "refused", actions: assign({ why: message }) },
          // Timeouts and faults have used up the retries: a person has to find out whether the order was paid.
          { target: "owing", actions: assign({ why: message }) },
        ],
      },
    },
    waiting: {
      tags: "for-a-person",
      always: {
        guard: "isCancelled",
        target: "refunding",
        actions: assign({ why: "the customer cancelled" }),
      },
      on: {
        approve: "shipping",
        reject: { target: "refunding", actions: assign({ why: ({ event }) => event.why }) },
      },
      after: { approval: { target: "refunding", actions: assign({ why: "nobody approved it in time" }) } },
    },
    shipping: {
      invoke: {
        src: "shipping",
        input: ({ context }) => context,
        onDone: { target: "shipped", actions: assign({ parcel: ({ event }) => event.output }) },
        onError: { target: "refunding", actions: assign({ why: message }) },
      },
    },
    refunding: {
      invoke: {
        src: "refund",
        input: ({ context }) => ({ receipt: context.payment?.receipt ?? "" }),
        onDone: "refunded",
        onError: { target: "owing", actions: assign({ why: message }) },
      },
    },
    owing: { tags: "for-a-person", on: { settled: "refunded" } },
    shipped: { type: "final" },
    refunded: { type: "final" },
    refused: { type: "final" },
  },
  output: ({ context: { parcel, why } }) => parcel ?? { why },
});
