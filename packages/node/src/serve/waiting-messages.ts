import { UnavailableError, type Message } from "@ergon/core";

/**
 * The most bytes of messages that wait in this process for shards: 64 of the largest messages at NATS's default, or some seconds of a busy node's traffic.
 * More would take memory that live tasks need, and the senders would have asked again before the node answers.
 */
const MOST_BYTES = 64 * 1_048_576;
/** The cost of a kept message beside its bytes. */
const OVERHEAD_BYTES = 512;
const AGAIN_MS = 500;

/** Counts the bytes of the messages that this node keeps until some node serves their shards. */
export class WaitingMessages {
  readonly #bytes = new Map<Message, number>();
  #total = 0;

  /** Copies a message, so that it outlives its handler. Throws `UnavailableError` (`OVERLOADED`) if there is no room for the copy. */
  enter(message: Message): Message {
    const headers = { ...message.headers() };
    let bytes = OVERHEAD_BYTES + message.data.length;
    for (const name in headers) bytes += name.length + (headers[name]?.length ?? 0);
    if (this.#total + bytes > MOST_BYTES) {
      const text = "this node keeps as many messages for shards that are not served as it can hold; ask again";
      throw new UnavailableError("OVERLOADED", text, { retryAfterMs: AGAIN_MS });
    }
    const copy: Message = {
      subject: message.subject,
      data: new Uint8Array(message.data),
      reply: message.reply,
      header: (name) => headers[name],
      headers: () => headers,
      noResponders: false,
    };
    this.#bytes.set(copy, bytes);
    this.#total += bytes;
    return copy;
  }

  /** The node has served, forwarded or given up the copy. Ignores any other message. */
  leave(message: Message): void {
    const bytes = this.#bytes.get(message);
    if (bytes === undefined) return;
    this.#bytes.delete(message);
    this.#total -= bytes;
  }
}
