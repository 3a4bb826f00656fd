import type { Headers, Message } from "../ports/bus.ts";

/** A request that may be sent any number of times: its effect happens once. */
export interface Question<T> {
  readonly subject: string;
  readonly data?: Uint8Array | undefined;
  readonly headers?: Headers | undefined;
  /** The node holds the answer back until the task has ended, or until this moment of the monotonic clock. */
  readonly waitUntil?: number | undefined;
  /** For a wait: the id of the actor that continues when the wait is given up. */
  readonly waitFor?: string | undefined;
  /**
   * For a wait: a node remembers the event id of the request for a limited time only, so the client does not repeat it through an outage of any length.
   * @defaultValue false
   */
  readonly forgettable?: boolean | undefined;
  /** The shard whose change of owner repeats the request at once. Without it, a change of any shard does so. */
  readonly shard?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The length of the first tries, if the answer is slow. */
  readonly tryMs?: number | undefined;
  /** The time after which a try sends a second request, if the answer is slow or much work. A time as long as a try means never. */
  readonly besideMs?: number | undefined;
  /** Reads the answer in the turn in which it arrives; throws the error that it carries. */
  read(message: Message): T;
}

/** The end of one try of a request. */
export type Outcome<T> =
  | { readonly kind: "answer"; readonly value: T }
  | { readonly kind: "failed"; readonly error: unknown }
  /** The nodes that may answer have changed: the client repeats the request at once. */
  | { readonly kind: "moved" };
