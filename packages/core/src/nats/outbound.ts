import type { NatsConnection, PublishOptions } from "@nats-io/nats-core";

import { EncodedHeaders } from "./headers.ts";

/** The size of the pieces into which the messages of a turn are joined, in bytes. */
const SLAB_BYTES = 262_144;
/** The most bytes of a character in UTF-8. */
const CHARACTER_BYTES = 3;
const [CR, LF] = [13, 10];

/** The part of nats.js that accepts commands in the form of the wire. */
interface Protocol {
  sendCommand(bytes: Uint8Array): void;
  flushPending(): void;
}

/**
 * Joins the messages that one turn of the event loop publishes, and sends them in one write. nats.js makes four buffers of each message, copies them
 * once more, and writes at the end of each promise job, several of which follow one chunk from the server. This took a quarter of a busy node's time.
 * All other commands of the connection keep their place behind the earlier messages. If the internals of nats.js differ from the known ones, nothing
 * changes.
 */
export function coalesceWrites(connection: NatsConnection): void {
  const { protocol } = connection as NatsConnection & { readonly protocol?: Partial<Protocol> };
  if (typeof protocol?.sendCommand !== "function" || typeof protocol.flushPending !== "function") return;
  const turn = new Turn(protocol as Protocol);

  const publishNow = connection.publish.bind(connection);
  connection.publish = (subject, payload, options) => {
    // nats.js handles unusual messages, and refuses the invalid ones.
    if (payload instanceof Uint8Array && isOrdinary(connection, subject, payload.length, options)) {
      turn.add(subject, options?.reply, options?.headers as EncodedHeaders | undefined, payload);
      return;
    }
    turn.end();
    publishNow(subject, payload, options);
  };
  for (const name of ["subscribe", "flush", "drain", "close"] as const) {
    const now = connection[name].bind(connection) as (...args: readonly unknown[]) => never;
    connection[name] = (...args: readonly unknown[]) => {
      turn.end();
      return now(...args);
    };
  }
}

function isOrdinary(
  connection: NatsConnection,
  subject: string,
  bytes: number,
  options: PublishOptions | undefined,
): boolean {
  const { headers, reply, traceOnly, traceDestination } = options ?? {};
  if (headers !== undefined && !(headers instanceof EncodedHeaders)) return false;
  if (traceOnly !== undefined || traceDestination !== undefined) return false;
  if (connection.isClosed() || connection.isDraining()) return false;
  if (bytes + (headers?.size ?? 0) > (connection.info?.max_payload ?? 0)) return false;
  return isSubject(subject) && (reply === undefined || isSubject(reply));
}

function isSubject(text: string): boolean {
  return text !== "" && !/\s/.test(text);
}

/** The commands of one turn, in the form of the wire. */
class Turn {
  readonly #protocol: Protocol;
  #slab: Buffer = Buffer.alloc(0);
  /** The begin and the end of the unsent part of the slab. */
  #from = 0;
  #to = 0;
  #ends = false;

  constructor(protocol: Protocol) {
    this.#protocol = protocol;
  }

  add(subject: string, reply: string | undefined, headers: EncodedHeaders | undefined, data: Uint8Array): void {
    const where = reply === undefined ? subject : `${subject} ${reply}`;
    const head =
      headers === undefined
        ? `PUB ${where} ${data.length}\r\n`
        : `HPUB ${where} ${headers.size} ${headers.size + data.length}\r\n${headers.text}`;
    this.#reserve(CHARACTER_BYTES * head.length + data.length + 2);
    const slab = this.#slab;
    const at = this.#to + slab.write(head, this.#to);
    slab.set(data, at);
    slab[at + data.length] = CR;
    slab[at + data.length + 1] = LF;
    this.#to = at + data.length + 2;
    if (this.#ends) return;
    this.#ends = true;
    setImmediate(() => {
      this.#ends = false;
      this.end();
    });
  }

  /** Sends the joined commands. */
  end(): void {
    if (this.#to === this.#from) return;
    const bytes = this.#slab.subarray(this.#from, this.#to);
    this.#from = this.#to;
    this.#protocol.sendCommand(bytes);
    this.#protocol.flushPending();
  }

  /** Reserves bytes that were never written to, because the socket may still hold the beginning of the slab. */
  #reserve(bytes: number): void {
    if (this.#to + bytes <= this.#slab.length) return;
    this.end();
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
    this.#from = 0;
    this.#to = 0;
  }
}
