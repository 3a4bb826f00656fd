import { ErgonError, errorFrom, isErgonError, messageOf, type Issue } from "../base/errors.ts";
import { encodeBody } from "./codec.ts";
import { H, JSON_TYPE } from "./headers.ts";
import type { Headers, Message } from "./message.ts";

/** The limits of the faults that an error names. They keep an error with many or long faults small enough for a message. */
const MOST_ISSUES = 50;
const LONGEST_FIELD = 128;
const LONGEST_TEXT = 1_024;

/**
 * Encodes an error as a reply, with the headers of NATS micro services, Ergon's own headers, and the issues as a JSON body. No control character
 * reaches a header.
 */
export function encodeError(error: unknown): { data: Uint8Array; headers: Headers } {
  const known = isErgonError(error) ? error : new ErgonError("terminal", "INTERNAL", messageOf(error));
  const headers: Record<string, string> = {
    [H.serviceErrorCode]: String(known.status),
    [H.serviceError]: headerText(known.message),
    [H.error]: known.code,
    [H.errorKind]: known.kind,
    [H.contentType]: JSON_TYPE,
  };
  if (known.retryAfterMs !== undefined) headers[H.retryAfter] = String(known.retryAfterMs);
  const body = {
    error: known.code,
    kind: known.kind,
    message: known.message.slice(0, LONGEST_TEXT),
    ...(known.issues.length === 0 ? {} : { issues: known.issues.slice(0, MOST_ISSUES).map(shortened) }),
  };
  return { data: encodeBody(body, JSON_TYPE), headers };
}

function shortened({ field, code, message }: Issue): Issue {
  return { field: field.slice(0, LONGEST_FIELD), code, message: message.slice(0, LONGEST_TEXT) };
}

/** Returns the error that a reply carries, or `undefined` if the reply is no error. It also reads the errors of other NATS micro services. */
export function decodeError(message: Message): ErgonError | undefined {
  const status = message.header(H.serviceErrorCode);
  const text = message.header(H.serviceError);
  if (status === undefined && text === undefined && message.header(H.error) === undefined) return undefined;
  const retryAfter = Number(message.header(H.retryAfter));
  return errorFrom(
    message.header(H.errorKind) ?? "retryable",
    message.header(H.error) ?? "AGENT_FAILED",
    text ?? `service error ${status ?? ""}`,
    {
      ...(message.header(H.retryAfter) !== undefined && Number.isFinite(retryAfter)
        ? { retryAfterMs: retryAfter }
        : {}),
      issues: issuesOf(message.data),
    },
  );
}

function issuesOf(data: Uint8Array): readonly Issue[] {
  if (data[0] !== 0x7b /* { */) return [];
  try {
    const body = JSON.parse(Buffer.from(data).toString()) as { issues?: unknown };
    return Array.isArray(body.issues) ? (body.issues as Issue[]) : [];
  } catch {
    // The body of a foreign service's error has an unknown form.
    return [];
  }
}

/** Makes a text safe for a header. The result is one line of at most 1,024 characters without control characters. */
export function headerText(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.slice(0, 1_024).replace(/[\u0000-\u001f\u007f]+/g, " ");
}
