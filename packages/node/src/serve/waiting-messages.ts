import { UnavailableError, type Message } from "@ergon/core";

/**
 * What may wait in this process for shards to be served, all of them together: 64 of the largest messages at NATS's default, or some seconds
 * of what a busy node gets. More would cost memory that live tasks need, and be answered after its senders have asked again.
 */
const MOST_BYTES = 64 * 1_048_576;
/** What keeping a message costs beside its bytes. */
const OVERHEAD_BYTES = 512;
const AGAIN_MS = 500;

/** Counts the bytes of the messages that this node keeps until somebody serves their shards. */
export class WaitingMessages {
  readonly #bytes = new Map<Message, number>();
  #total = 0;

  /** A copy, which outlives the message's handler. Throws `UnavailableError` (`OVERLOADED`) when there is no room for it. */
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

  /** The copy is served, sent on or given up. Any other message is let by. */
  leave(message: Message): void {
    const bytes = this.#bytes.get(message);
    if (bytes === undefined) return;
    this.#bytes.delete(message);
    this.#total -= bytes;
  }
}
