import { JSON_TYPE, TEXT_TYPE } from "@ergon/core";

/** A response as it goes on the wire. */
export interface AttemptResponse {
  readonly data: Uint8Array;
  readonly contentType?: string | undefined;
}

const NOTHING: AttemptResponse = { data: new Uint8Array() };

/**
 * What a handler's value means: `undefined` an empty response; bytes themselves; a string `text/plain`; an object of nothing
 * but `data` (bytes, or a string with a `contentType`) and `contentType` exactly that; anything else JSON.
 */
export function toResponse(value: unknown): AttemptResponse {
  if (value === undefined) return NOTHING;
  if (value instanceof Uint8Array) return { data: value };
  if (typeof value === "string") return { data: Buffer.from(value), contentType: TEXT_TYPE };
  return typedResponse(value) ?? { data: Buffer.from(toJson(value)), contentType: JSON_TYPE };
}

function typedResponse(value: unknown): AttemptResponse | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { data, contentType } = value as { data?: unknown; contentType?: unknown };
  if (contentType !== undefined && typeof contentType !== "string") return undefined;
  for (const name in value) if (name !== "data" && name !== "contentType") return undefined;
  if (data instanceof Uint8Array) return { data, contentType };
  return typeof data === "string" && contentType !== undefined ? { data: Buffer.from(data), contentType } : undefined;
}

function toJson(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`a handler's response cannot be a ${typeof value}`);
  return text;
}
