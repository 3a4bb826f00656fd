import { InvalidError, UnavailableError, messageOf } from "../base/errors.ts";
import type { Bus, Message, PublishOptions, RequestOptions } from "../ports/bus.ts";
import { notPermitted, unreachable } from "./errors.ts";
import { encodeHeaders } from "./headers.ts";
import type { EncodedHeaders } from "./headers.ts";
import type { NatsLink } from "./link.ts";
import { NatsMessage } from "./message.ts";
import type { Silence, Waiter } from "./replies.ts";

const DEFAULT_MAX_BYTES = 1_048_576;

/** The bus over one NATS connection. */
export function createNatsBus(link: NatsLink): Bus {
  const { connection, requests, logger } = link;
  const maxMessageBytes = (): number => connection.info?.max_payload ?? DEFAULT_MAX_BYTES;

  const encode = (
    data: Uint8Array,
    options: PublishOptions | RequestOptions | undefined,
  ): EncodedHeaders | undefined => {
    const headers = options?.headers === undefined ? undefined : encodeHeaders(options.headers);
    const size = data.length + (headers?.size ?? 0);
    if (size > maxMessageBytes()) {
      throw new InvalidError(
        "PAYLOAD_TOO_LARGE",
        `the message has ${size} bytes; the server allows ${maxMessageBytes()} (its max_payload)`,
      );
    }
    return headers;
  };

  const publish = (subject: string, data: Uint8Array, options?: PublishOptions): void => {
    requireSubject(subject);
    const headers = encode(data, options);
    // A message on a closed connection is lost like any other in flight, and `onStatus` has reported the close.
    if (link.status === "closed") return;
    const settings: { reply?: string; headers?: EncodedHeaders["forNats"] } = {};
    if (options?.reply !== undefined) settings.reply = options.reply;
    if (headers !== undefined) settings.headers = headers.forNats;
    connection.publish(subject, data, settings);
  };

  return {
    publish,
    subscribe: (subject, handler, options = {}) => {
      requireSubject(subject);
      const callback = (error: Error | null, message: ConstructorParameters<typeof NatsMessage>[0]): void => {
        if (error !== null) {
          logger.error(
            { subject, error: messageOf(error) },
            "the NATS server refused a subscription; no message arrives on this subject",
          );
          return options.onRefused?.(notPermitted(`subscribe to ${subject}`));
        }
        try {
          handler(new NatsMessage(message));
        } catch (thrown) {
          logger.error({ subject, error: messageOf(thrown) }, "a message handler threw; the message is dropped");
        }
      };
      const subscription = connection.subscribe(
        subject,
        options.queue === undefined ? { callback } : { callback, queue: options.queue },
      );
      return {
        unsubscribe: () => {
          if (!subscription.isClosed()) subscription.unsubscribe();
        },
        drain: async () => {
          // nats.js unsubscribes at once. It closes the subscription after the server has sent all earlier messages, or when the connection is gone.
          if (subscription.isClosed()) return;
          if (link.status === "connected") await Promise.allSettled([subscription.drain()]);
          else subscription.unsubscribe();
        },
      };
    },
    request: (subject, data, options) =>
      new Promise((resolve, reject) => {
        requireSubject(subject);
        const headers = encode(data, options);
        if (link.status !== "connected") return reject(unreachable());
        requests.ask(
          subject,
          data,
          headers,
          options.timeoutMs,
          new RequestWaiter(subject, options.timeoutMs, resolve, reject),
        );
      }),
    flush: async () => {
      try {
        await connection.flush();
      } catch {
        throw unreachable();
      }
      // The server sends a refusal before its answer, but an iterator reports the refusal some promise jobs later.
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    },
    onRefused: (handler) => link.onRefused(handler),
    onStatus: (handler) => link.onStatus(handler),
    get maxMessageBytes() {
      return maxMessageBytes();
    },
  };
}

class RequestWaiter implements Waiter {
  readonly #subject: string;
  readonly #timeoutMs: number;
  readonly #resolve: (message: Message) => void;
  readonly #reject: (error: Error) => void;

  constructor(subject: string, timeoutMs: number, resolve: (message: Message) => void, reject: (error: Error) => void) {
    this.#subject = subject;
    this.#timeoutMs = timeoutMs;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  answer(message: NatsMessage): boolean {
    if (message.noResponders) this.#reject(new UnavailableError("NO_NODE", `no process serves ${this.#subject}`));
    else this.#resolve(message);
    return true;
  }

  fail(why: Silence): void {
    this.#reject(this.#errorOf(why));
  }

  #errorOf(why: Silence): Error {
    if (why === "timeout")
      return new UnavailableError("REQUEST_TIMEOUT", `no answer on ${this.#subject} within ${this.#timeoutMs} ms`);
    if (why === "not-permitted") return notPermitted(`publish to ${this.#subject}`);
    return unreachable();
  }
}

function requireSubject(subject: string): void {
  if (subject === "" || /\s/.test(subject))
    throw new InvalidError("INVALID_SUBJECT", `${JSON.stringify(subject)} is not a subject`);
}
