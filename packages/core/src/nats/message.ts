import type { Msg } from "@nats-io/nats-core";
import { MsgImpl, Parser } from "@nats-io/nats-core/internal";
import type { ParserEvent } from "@nats-io/nats-core/internal";

import { ErgonError } from "../base/errors.ts";
import type { Headers, Message } from "../ports/bus.ts";
import { findHeader, parseHeaders } from "./headers.ts";

/** The raw fields of a message in nats.js 3. The decoders of its getters are slow. */
interface RawMsg {
  readonly _msg: { readonly subject: Uint8Array; readonly reply?: Uint8Array; readonly hdr: number };
  readonly _rdata: Uint8Array;
}

const EMPTY = new Uint8Array(0);
const NO_HEADERS: Headers = Object.freeze({});
const [FIVE, ZERO, THREE] = [53, 48, 51];
/** The position of the status in `NATS/1.0 503`. */
const STATUS_AT = 9;

/** Throws `INTERNAL` when the internals of nats.js have changed, so that the change shows at start and not as wrong data later. */
export function checkInsides(): void {
  let known = false;
  const parser = new Parser({
    push: (event) => {
      const { msg, data } = event as ParserEvent;
      if (msg === undefined || data === undefined) return;
      const { _msg, _rdata } = new MsgImpl(msg, data, undefined as never) as unknown as Partial<RawMsg>;
      known = _msg?.subject instanceof Uint8Array && typeof _msg.hdr === "number" && _rdata instanceof Uint8Array;
    },
  });
  parser.parse(Buffer.from("MSG subject 1 4\r\ndata\r\n"));
  if (known) return;
  throw new ErgonError(
    "terminal",
    "INTERNAL",
    "Ergon cannot read the messages of this version of nats.js: install @nats-io/nats-core 3.4",
  );
}

/** A message of nats.js. It decodes only the requested parts of the raw bytes. */
export class NatsMessage implements Message {
  readonly #raw: RawMsg;
  #block: string | undefined;

  constructor(message: Msg) {
    this.#raw = message as unknown as RawMsg;
  }

  get subject(): string {
    return ascii(this.#raw._msg.subject);
  }

  /** The last `count` bytes of the subject, from `start` on, for a process that has put a token there. */
  get subjectBytes(): Uint8Array {
    return this.#raw._msg.subject;
  }

  get data(): Uint8Array {
    const { _msg, _rdata } = this.#raw;
    if (_rdata === undefined) return EMPTY;
    return _msg.hdr > 0 ? _rdata.subarray(_msg.hdr) : _rdata;
  }

  get reply(): string | undefined {
    const { reply } = this.#raw._msg;
    return reply === undefined || reply.length === 0 ? undefined : ascii(reply);
  }

  get noResponders(): boolean {
    const { _msg, _rdata } = this.#raw;
    return (
      _msg.hdr > 0 &&
      _rdata.length === _msg.hdr &&
      _rdata[STATUS_AT] === FIVE &&
      _rdata[STATUS_AT + 1] === ZERO &&
      _rdata[STATUS_AT + 2] === THREE
    );
  }

  /** The status in the first header line, or 0 if the server has put none there. */
  get status(): number {
    const { _msg, _rdata } = this.#raw;
    if (_msg.hdr <= STATUS_AT + 2) return 0;
    let status = 0;
    for (let index = STATUS_AT; index < STATUS_AT + 3; index++) {
      const digit = (_rdata[index] ?? 0) - ZERO;
      if (digit < 0 || digit > 9) return 0;
      status = status * 10 + digit;
    }
    return status;
  }

  header(name: string): string | undefined {
    return this.#raw._msg.hdr > 0 ? findHeader(this.#headerBlock(), name) : undefined;
  }

  headers(): Headers {
    return this.#raw._msg.hdr > 0 ? parseHeaders(this.#headerBlock()) : NO_HEADERS;
  }

  #headerBlock(): string {
    const { _msg, _rdata } = this.#raw;
    this.#block ??= asBuffer(_rdata).toString("utf8", 0, _msg.hdr);
    return this.#block;
  }
}

/** Returns a view as a Buffer, whose decoders are faster than `TextDecoder` on short texts. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function ascii(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("latin1");
}
