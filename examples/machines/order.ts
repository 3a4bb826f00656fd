// An order that is paid, approved by a person and shipped; whatever goes wrong after the payment gives the money back.
//
//   ./ergon dev --machines examples/machines/order.ts
//   node scripts/bootstrap.mjs examples/machines/order-agents.ts       elsewhere: who pays, ships and refunds
//   node scripts/bootstrap.mjs examples/machines/order-client.ts       elsewhere: customers, and the person who approves

import { driver } from "@ergon/core";
import { assign, setup } from "xstate";

export interface Order {
  readonly item: string;
  readonly amount: number;
  /** How long a person may think about it, in milliseconds. Absent: two days. */
  readonly approveWithinMs?: number;
}

interface Context extends Order {
  readonly payment?: { readonly receipt: string };
  readonly parcel?: { readonly tracking: string };
  readonly cancelled?: true;
  readonly why?: string;
}

const DAY_MS = 86_400_000;

/** Money that is owed is not given up after three attempts. */
const forAWeek = { retry: { maxAttempts: 1_000, initial: "1s", max: "10m" }, totalTimeout: "7d" };

/** What a task that has failed for good says. */
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
  // Taken everywhere, so that no cancel stops a payment half way, or a refund. It counts until the parcel is under way.
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
          // Its retries are used up by timeouts and faults: whether it was paid, a person has to find out.
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
