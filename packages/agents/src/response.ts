import { RetryableError, messageOf } from "@ergon/core";
import { JSON_TYPE, TEXT_TYPE } from "@ergon/core/engine";

/** A response as it goes on the wire. */
export interface AttemptResponse {
  readonly data: Uint8Array;
  readonly contentType?: string | undefined;
}

const NOTHING: AttemptResponse = { data: new Uint8Array() };

/**
 * The response for a handler's value. `undefined` is an empty response; bytes (an `ArrayBuffer`, or any view of one) stay bytes; a string is
 * `text/plain`; an object with only `data` (bytes, or a string with a `contentType`) and `contentType` is exactly that; anything
 * else is JSON. Throws `RetryableError` (`AGENT_FAILED`) for a value that JSON cannot express.
 */
export function toResponse(value: unknown): AttemptResponse {
  if (value === undefined) return NOTHING;
  const bytes = copyOfBytes(value);
  if (bytes !== undefined) return { data: bytes };
  if (typeof value === "string") return { data: Buffer.from(value), contentType: TEXT_TYPE };
  return typedResponse(value) ?? { data: Buffer.from(toJson(value)), contentType: JSON_TYPE };
}

function typedResponse(value: unknown): AttemptResponse | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { data, contentType } = value as { data?: unknown; contentType?: unknown };
  if (contentType !== undefined && typeof contentType !== "string") return undefined;
  for (const name in value) if (name !== "data" && name !== "contentType") return undefined;
  const bytes = copyOfBytes(data);
  if (bytes !== undefined) return { data: bytes, contentType };
  return typeof data === "string" && contentType !== undefined ? { data: Buffer.from(data), contentType } : undefined;
}

/** The agent keeps the answer and repeats it until it is recorded. The handler may use the bytes for something else meanwhile. */
function copyOfBytes(value: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(value))
    return new Uint8Array(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  return value instanceof ArrayBuffer ? new Uint8Array(value.slice(0)) : undefined;
}

function toJson(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value) as string | undefined;
  } catch (cause) {
    throw untellable(messageOf(cause), cause);
  }
  if (text === undefined) throw untellable(`it is a ${typeof value}`);
  return text;
}

function untellable(reason: string, cause?: unknown): RetryableError {
  return new RetryableError("AGENT_FAILED", `the response cannot be written as JSON: ${reason}`, { cause });
}
