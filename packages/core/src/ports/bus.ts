import type { ErgonError } from "../base/errors.ts";
import type { Headers, Message } from "../wire/message.ts";

export type { Headers, Message };

export interface PublishOptions {
  readonly headers?: Headers | undefined;
  readonly reply?: string | undefined;
}

export interface RequestOptions {
  readonly headers?: Headers | undefined;
  readonly timeoutMs: number;
}

interface SubscribeOptions {
  readonly queue?: string | undefined;
  /**
   * Called with `NOT_PERMITTED`, which names the subject, when the server refuses the subscription: nothing will come. It is called before a
   * `flush` that was begun after the subscription resolves, or later when
   * permissions have changed, and once at most. An adapter without permissions never calls it.
   */
  readonly onRefused?: ((error: ErgonError) => void) | undefined;
}

export interface Subscription {
  /** Takes no more messages, and drops those that the server has sent already. Idempotent. */
  unsubscribe(): void;
  /**
   * Asks the server for no more messages, and handles those that it has sent by then. Resolves when it has sent the last of them, or the connection
   * is gone; never rejects. Idempotent.
   */
  drain(): Promise<void>;
}

export type BusStatus = "connected" | "disconnected" | "closed";

/**
 * Core NATS as a port. Laws (the conformance suite holds both adapters to them):
 *
 * - Messages of one publisher to one subscription arrive in order, at most once.
 * - Exactly one of the subscriptions of a queue group gets a message.
 * - A message with a reply-to that reaches nobody comes back at once on that reply-to, to its own sender only, with
 *   `noResponders`.
 * - A message reaches a subscription that is drained, or the server gives it to another, or tells its sender that there is nobody.
 * - After `flush`, everything published before has reached the server, and every subscription made before is known to it.
 * - A handler that throws is the adapter's caller's bug: it is reported to the log, the subscription goes on.
 */
export interface Bus {
  publish(subject: string, data: Uint8Array, options?: PublishOptions): void;
  subscribe(subject: string, handler: (message: Message) => void, options?: SubscribeOptions): Subscription;
  /**
   * Sends and waits for one answer. Throws `UnavailableError`: `NO_NODE` when nobody serves the subject, `REQUEST_TIMEOUT` when no
   * answer came within `timeoutMs`, `NATS_UNREACHABLE` when the connection is gone.
   */
  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<Message>;
  flush(): Promise<void>;
  /** Called at each change of the connection's status. */
  onStatus(handler: (status: BusStatus) => void): void;
  /**
   * Called with the subject of a message that the server refused to take, since this user may not publish there: before a `flush` that was begun
   * after the message resolves. An adapter without permissions never calls it.
   */
  onRefused(handler: (subject: string) => void): void;
  /** Largest message, headers included, that the server takes, in bytes. */
  readonly maxMessageBytes: number;
}
