import type { Work } from "./work.ts";

/** An event that one coordinator has for another. */
interface OrderEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** What a coordinator wants done. It names each actor that stands for a piece of work. */
export type Order =
  | { readonly type: "start"; readonly actor: string; readonly work: Work }
  /** The work has ended, or nobody wants it any more: its actor goes. */
  | { readonly type: "stop"; readonly actor: string }
  /** Cancels the work. The coordinator still hears of its end. */
  | { readonly type: "cancel"; readonly actor: string; readonly reason: string }
  /** Sends an event to the instance that the actor stands for. */
  | { readonly type: "send"; readonly actor: string; readonly event: OrderEvent }
  /** Sends an event to the coordinator that this one is a part of. */
  | { readonly type: "report"; readonly event: OrderEvent };

/** What a coordinator is after something has happened to it, and what follows. */
export interface Decision<C> {
  readonly context: C;
  readonly orders: readonly Order[];
}
