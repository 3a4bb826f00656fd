import type { Work } from "./work.ts";

/** An event that one coordinator sends to another. */
interface OrderEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** An instruction of a coordinator. It names the actor that stands for a piece of work. */
export type Order =
  | { readonly type: "start"; readonly actor: string; readonly work: Work }
  /** Removes the actor, because the work has ended or nobody needs it any more. */
  | { readonly type: "stop"; readonly actor: string }
  /** Cancels the work. The coordinator still receives its end. */
  | { readonly type: "cancel"; readonly actor: string; readonly reason: string }
  /** Sends an event to the instance that the actor stands for. */
  | { readonly type: "send"; readonly actor: string; readonly event: OrderEvent }
  /** Sends an event to the coordinator that this one is part of. */
  | { readonly type: "report"; readonly event: OrderEvent };

/** A coordinator's next context, and the orders that follow from it. */
export interface Decision<C> {
  readonly context: C;
  readonly orders: readonly Order[];
}
