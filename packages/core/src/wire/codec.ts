import { InvalidError, messageOf } from "../base/errors.ts";
import { msgpack } from "../base/msgpack.ts";
import { JSON_TYPE, MSGPACK_TYPE } from "./headers.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Returns the media type of a `Content-Type`, without its parameters, in lower case. */
export function mediaType(contentType: string | undefined): string {
  return contentType === undefined ? "" : (contentType.split(";", 1)[0] ?? "").trim().toLowerCase();
}

/** Encodes a structured message as MessagePack if the peer asked for that, otherwise as JSON. */
export function encodeBody(value: unknown, type: string): Uint8Array {
  return type === MSGPACK_TYPE ? msgpack.pack(value) : Buffer.from(JSON.stringify(value));
}

/** The deepest nesting of lists and maps in a body. Code that walks through a value recurses as deep as the value, and must not overflow its stack. */
const MOST_LEVELS = 500;

/**
 * Decodes a structured message. A message without a content type is JSON. Throws `InvalidError`: `INVALID_BODY` for a body that cannot be decoded or
 * that nests more than 500 lists and maps, and `UNSUPPORTED_CONTENT_TYPE` for any other type.
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

/** Bytes in a form for people and JSON readers. The content type and the bytes decide between parsed JSON, text and base64. */
export type Content =
  | { readonly contentType?: string; readonly json: unknown }
  | { readonly contentType?: string; readonly text: string }
  | { readonly contentType?: string; readonly base64: string };

/** Describes bytes as {@link Content}. The form is `json` if their type is JSON and they parse, otherwise `text` if they are UTF-8, otherwise `base64`. */
export function describeContent(data: Uint8Array, contentType: string | undefined): Content {
  const type = contentType === undefined || contentType === "" ? {} : { contentType };
  const text = decodeText(data);
  if (text === undefined)
    return { ...type, base64: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") };
  if (mediaType(contentType) === JSON_TYPE) {
    try {
      return { ...type, json: decodeBody(data, JSON_TYPE) };
    } catch {
      // The bytes are no JSON, or they nest too deep to be sent on as JSON. The reader gets them in another form.
      return { ...type, text };
    }
  }
  return { ...type, text };
}

/** Decodes a response. JSON and MessagePack become values, a text stays a text, and everything else becomes bytes. */
export function decodeContent(data: Uint8Array, contentType: string | undefined): unknown {
  const type = mediaType(contentType);
  if (type === JSON_TYPE || type === MSGPACK_TYPE) {
    try {
      return decodeBody(data, type);
    } catch {
      // The bytes do not fit their content type, or they nest too deep. The reader gets them in another form.
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
    // Bytes that are no UTF-8 are an expected outcome, and not a failure.
    return undefined;
  }
}
