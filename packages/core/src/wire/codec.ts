import { InvalidError, messageOf } from "../base/errors.ts";
import { msgpack } from "../base/msgpack.ts";
import { JSON_TYPE, MSGPACK_TYPE } from "./headers.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** The media type of a `Content-Type`, without its parameters, in lower case. */
export function mediaType(contentType: string | undefined): string {
  return contentType === undefined ? "" : (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
}

/** Encodes a structured message as the peer likes it: MessagePack where it asked for that, else JSON. */
export function encodeBody(value: unknown, type: string): Uint8Array {
  return type === MSGPACK_TYPE ? msgpack.pack(value) : Buffer.from(JSON.stringify(value));
}

/** Lists and maps in each other, of a body. Code that walks through values goes as deep as they are, and must not overflow its stack. */
const MOST_LEVELS = 500;

/**
 * Decodes a structured message. No content type means JSON. Throws `InvalidError` (`INVALID_BODY`, also where more than 500 lists and maps are in each
 * other; `UNSUPPORTED_CONTENT_TYPE`).
 */
export function decodeBody(data: Uint8Array, contentType: string | undefined): unknown {
  const type = mediaType(contentType);
  const value = parse(data, type);
  if (isDeeper(value, MOST_LEVELS))
    throw new InvalidError(
      "INVALID_BODY",
      `the body has more than ${MOST_LEVELS} levels of nested lists and objects; use fewer`,
    );
  return value;
}

function parse(data: Uint8Array, type: string): unknown {
  try {
    if (type === MSGPACK_TYPE) return msgpack.unpack(data);
    if (type === "" || type === JSON_TYPE) return JSON.parse(decoder.decode(data));
  } catch (cause) {
    throw new InvalidError(
      "INVALID_BODY",
      `the body is not ${type === MSGPACK_TYPE ? "MessagePack" : "JSON"}: ${messageOf(cause)}`,
      { cause },
    );
  }
  throw new InvalidError(
    "UNSUPPORTED_CONTENT_TYPE",
    `content type "${type.slice(0, 80)}" is not read here; send ${JSON_TYPE} or ${MSGPACK_TYPE}`,
  );
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false;
  if (levels === 0) return true;
  for (const field of Array.isArray(value) ? (value as unknown[]) : Object.values(value))
    if (typeof field === "object" && isDeeper(field, levels - 1)) return true;
  return false;
}

/** Bytes as a person or a JSON reader can take them: parsed JSON, text, or base64, by content type and by what they are. */
export type Content =
  | { readonly contentType?: string; readonly json: unknown }
  | { readonly contentType?: string; readonly text: string }
  | { readonly contentType?: string; readonly base64: string };

/** Describes bytes as {@link Content}: `json` when they are called JSON and are it, else `text` when they are UTF-8, else `base64`. */
export function describeContent(data: Uint8Array, contentType: string | undefined): Content {
  const type = contentType === undefined || contentType === "" ? {} : { contentType };
  const text = decodeText(data);
  if (text === undefined)
    return { ...type, base64: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") };
  if (mediaType(contentType) === JSON_TYPE) {
    try {
      return { ...type, json: decodeBody(data, JSON_TYPE) };
    } catch {
      // Called JSON and is not, or is too deep to be sent on as such: the reader gets what there is.
      return { ...type, text };
    }
  }
  return { ...type, text };
}

/** A response as a value: JSON and MessagePack decoded, text as a text, everything else as the bytes that it is. */
export function decodeContent(data: Uint8Array, contentType: string | undefined): unknown {
  const type = mediaType(contentType);
  if (type === JSON_TYPE || type === MSGPACK_TYPE) {
    try {
      return decodeBody(data, type);
    } catch {
      // Called so and is not, or is too deep: the reader gets what there is.
      return decodeText(data) ?? data;
    }
  }
  if (type !== "" && !type.startsWith("text/")) return data;
  return data.length === 0 ? undefined : (decodeText(data) ?? data);
}

function decodeText(data: Uint8Array): string | undefined {
  try {
    return decoder.decode(data);
  } catch {
    // Not UTF-8: an expected outcome, not a failure.
    return undefined;
  }
}
