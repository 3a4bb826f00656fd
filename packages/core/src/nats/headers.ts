import type { MsgHdrs } from "@nats-io/nats-core";

import { InvalidError } from "../base/errors.ts";
import type { Headers } from "../ports/bus.ts";

const START = "NATS/1.0";
const SPACE = 0x20;
const TAB = 0x09;

/**
 * Headers as one encoded block. nats.js only calls `encode()` on the headers of a published message. Its own `MsgHdrs` canonicalises each name and
 * keeps maps of arrays, which costs more than the rest of a publish.
 */
export class EncodedHeaders {
  /** The text from `NATS/1.0` to the empty line. */
  readonly text: string;
  /** The size of the text in UTF-8, in bytes. */
  readonly size: number;

  constructor(text: string) {
    this.text = text;
    this.size = Buffer.byteLength(text);
  }

  encode(): Uint8Array {
    return Buffer.from(this.text);
  }

  /** Converts headers to the type that nats.js expects. */
  get forNats(): MsgHdrs {
    return this as unknown as MsgHdrs;
  }
}

/** Encodes headers. Throws `InvalidError` when a name or a value would end its line early. */
export function encodeHeaders(headers: Headers): EncodedHeaders {
  let text = START;
  for (const name in headers) {
    const value = headers[name] as string;
    if (!isSafe(name, value)) {
      throw new InvalidError(
        "INVALID_OPTION",
        `header ${JSON.stringify(name)} must not hold a line break or a colon in its name`,
      );
    }
    text += `\r\n${name}: ${value}`;
  }
  return new EncodedHeaders(`${text}\r\n\r\n`);
}

function isSafe(name: string, value: string): boolean {
  return !value.includes("\n") && !value.includes("\r") && name !== "" && !/[\r\n:]/.test(name);
}

/** Removes spaces and tabs at the ends of a value. All other characters that `trim` would remove (a byte order mark, a no-break space) belong to the value. */
function trimmed(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value.charCodeAt(start))) start++;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Returns the value of the first header `name` in a message's header block, which is text. */
export function findHeader(block: string, name: string): string | undefined {
  // Values hold no line breaks, so a line that starts with the name is the header.
  const at = block.indexOf(`\r\n${name}:`);
  if (at < 0) return undefined;
  const start = at + name.length + 3;
  return trimmed(block.slice(start, block.indexOf("\r\n", start)));
}

/** Returns all headers of a header block. A repeated header has its first value. */
export function parseHeaders(block: string): Headers {
  const headers: Record<string, string> = {};
  for (const line of block.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    if (!Object.hasOwn(headers, name)) headers[name] = trimmed(line.slice(colon + 1));
  }
  return headers;
}
