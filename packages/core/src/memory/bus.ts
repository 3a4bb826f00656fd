import type { TimerHandle } from "../base/clock.ts";
import { InvalidError, UnavailableError, messageOf } from "../base/errors.ts";
import type { Bus, Headers, Message, PublishOptions, RequestOptions, Subscription } from "../ports/bus.ts";
import { requireHeaders } from "./broker.ts";
import type { Interest, Letter } from "./letter.ts";
import { unreachable } from "./link.ts";
import type { Link } from "./link.ts";

interface PendingRequest {
  readonly timer: TimerHandle;
  answer(message: Message): void;
  fail(error: UnavailableError): void;
}

const NO_HEADERS: Headers = {};

/** The bus of one process on a memory network. */
export function createMemoryBus(link: Link): Bus {
  const { broker, clock } = link;
  const inbox = `_INBOX.${link.name}`;
  const pending = new Map<string, PendingRequest>();
  let inboxReady = false;
  let lastRequest = 0;

  const publish = (subject: string, data: Uint8Array, options: PublishOptions = {}): void => {
    requireSubject(subject);
    requireHeaders(options.headers);
    if (data.length > broker.maxMessageBytes) {
      throw new InvalidError(
        "PAYLOAD_TOO_LARGE",
        `${data.length} bytes are more than the server takes (${broker.maxMessageBytes})`,
      );
    }
    const letter: Letter = {
      subject,
      data: data.slice(),
      reply: options.reply,
      headers: asSent(options.headers),
      noResponders: false,
    };
    link.send(() => broker.publish(link, letter));
  };

  const subscribe: Bus["subscribe"] = (subject, handler, options = {}) => {
    requireSubject(subject);
    let active = true;
    const interest: Interest = {
      link,
      subject,
      queue: options.queue,
      deliver: (letter) => {
        if (!active) return;
        try {
          handler(asMessage(letter));
        } catch (error) {
          link.logger.error(
            { subject: letter.subject, error: messageOf(error) },
            "a message handler threw; the message is dropped",
          );
        }
      },
    };
    link.addInterest(interest);
    let drained: Promise<void> | undefined;
    const subscription: Subscription = {
      unsubscribe: () => {
        if (!active) return;
        active = false;
        link.removeInterest(interest);
      },
      drain: () => {
        if (active && drained === undefined) link.removeInterest(interest);
        return (drained ??= link
          .call(() => undefined)
          .catch(() => undefined)
          .then(() => {
            active = false;
          }));
      },
    };
    return subscription;
  };

  const settle = (token: string, then: (request: PendingRequest) => void): void => {
    const request = pending.get(token);
    if (request === undefined) return;
    pending.delete(token);
    clock.cancel(request.timer);
    then(request);
  };

  link.onStatus((status) => {
    if (status === "connected") return;
    for (const token of [...pending.keys()]) settle(token, (request) => request.fail(unreachable()));
  });

  const request = (subject: string, data: Uint8Array, options: RequestOptions): Promise<Message> => {
    if (link.status !== "connected") return Promise.reject(unreachable());
    if (!inboxReady) {
      inboxReady = true;
      subscribe(`${inbox}.*`, (message) => settle(message.subject, (waiting) => waiting.answer(message)));
    }
    return new Promise((resolve, reject) => {
      const reply = `${inbox}.${++lastRequest}`;
      publish(subject, data, { headers: options.headers, reply });
      pending.set(reply, {
        timer: clock.after(options.timeoutMs, () => {
          const error = new UnavailableError(
            "REQUEST_TIMEOUT",
            `no answer on ${subject} within ${options.timeoutMs} ms`,
          );
          settle(reply, (waiting) => waiting.fail(error));
        }),
        answer: (message) => {
          if (message.noResponders) reject(new UnavailableError("NO_NODE", `no process serves ${subject}`));
          else resolve(message);
        },
        fail: reject,
      });
    });
  };

  return {
    publish,
    subscribe,
    request,
    flush: () => link.call(() => undefined),
    onStatus: (handler) => link.onStatus(handler),
    onRefused: (handler) => link.onRefused(handler),
    maxMessageBytes: broker.maxMessageBytes,
  };
}

/** Returns headers as they arrive, without the spaces and tabs at the ends of values. */
function asSent(headers: Headers | undefined): Headers | undefined {
  if (headers === undefined) return undefined;
  const entries = Object.entries(headers).map(([name, value]) => [name, value.replaceAll(/^[ \t]+|[ \t]+$/g, "")]);
  return Object.fromEntries(entries) as Headers;
}

function asMessage(letter: Letter): Message {
  const headers = letter.headers ?? NO_HEADERS;
  return {
    subject: letter.subject,
    data: letter.data,
    reply: letter.reply,
    noResponders: letter.noResponders,
    header: (name) => (Object.hasOwn(headers, name) ? headers[name] : undefined),
    headers: () => headers,
  };
}

function requireSubject(subject: string): void {
  if (subject === "" || /[\s]/.test(subject))
    throw new InvalidError("INVALID_SUBJECT", `${JSON.stringify(subject)} is not a subject`);
}
