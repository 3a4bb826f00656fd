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
   * Called once at most, with `NOT_PERMITTED` and the name of the subject, when the server refuses the subscription. No message follows. A `flush`
   * that began after the subscription resolves only after the call. A later change of permissions may cause the call as well. An adapter without
   * permissions never makes it.
   */
  readonly onRefused?: ((error: ErgonError) => void) | undefined;
}

export interface Subscription {
  /** Ends the subscription, and drops the messages that the server has already sent. Idempotent. */
  unsubscribe(): void;
  /**
   * Asks the server to send no more messages, and handles those that it sends before it stops. Resolves after the last of them, or when the
   * connection is gone; never rejects. Idempotent.
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
 * - A handler that throws has a bug. The adapter logs the error, and the subscription goes on.
 */
export interface Bus {
  publish(subject: string, data: Uint8Array, options?: PublishOptions): void;
  subscribe(subject: string, handler: (message: Message) => void, options?: SubscribeOptions): Subscription;
  /**
   * Sends a request and waits for one answer. Throws `UnavailableError`, with `NO_NODE` when nobody serves the subject, `REQUEST_TIMEOUT` when no
   * answer came within `timeoutMs`, and `NATS_UNREACHABLE` when the connection is gone.
   */
  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<Message>;
  flush(): Promise<void>;
  /** Called at each change of the connection's status. */
  onStatus(handler: (status: BusStatus) => void): void;
  /**
   * Calls `handler` with the subject of a message that the server refused because this user may not publish there. A `flush` that began after the
   * message resolves only after the call. An adapter without permissions never makes it.
   */
  onRefused(handler: (subject: string) => void): void;
  /** The largest message that the server accepts, in bytes, including headers. */
  readonly maxMessageBytes: number;
}
