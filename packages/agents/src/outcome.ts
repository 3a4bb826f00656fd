import { RetryableError, TerminalError, isErgonError, messageOf } from "@ergon/core";
import type { ErgonError, Headers } from "@ergon/core";
import { H, encodeError, headerText } from "@ergon/core/engine";

import type { AttemptAborted } from "./abort.ts";
import { toResponse } from "./response.ts";

/** An answer without its address. */
export interface Outcome {
  readonly headers: Headers;
  readonly data: Uint8Array;
}

const EMPTY = new Uint8Array();
/** An answer this far below the server's limit fits with any headers, so nothing counts them. */
const HEADERS_BYTES = 4_096;

/** A handler's value as an answer. A value that the server would not take is a final failure, `RESPONSE_TOO_LARGE`. */
export function succeeded(agent: string, value: unknown, maxMessageBytes: number): Outcome {
  const { data, contentType } = toResponse(value);
  const limit = maxMessageBytes - HEADERS_BYTES;
  if (data.length > limit) {
    const message = `the response has ${data.length} bytes; the server takes ${limit} at most`;
    return failed(agent, new TerminalError("RESPONSE_TOO_LARGE", message));
  }
  const headers: Record<string, string> = { [H.event]: "succeeded", [H.agent]: agent };
  if (contentType !== undefined) headers[H.contentType] = headerText(contentType);
  return { headers, data };
}

export function returned(agent: string, reason: string): Outcome {
  return { headers: { [H.event]: "returned", [H.agent]: agent, [H.reason]: reason }, data: EMPTY };
}

/**
 * Anything thrown as an answer; never throws itself. Ergon's errors keep their code, up to 64 characters of it: `retryable` and
 * `unavailable` errors allow a retry, the others are final. Anything else is retryable, `AGENT_FAILED`, with its message.
 */
export function failed(agent: string, error: unknown): Outcome {
  const { headers, data } = encodeError(failureOf(error));
  return { headers: { ...headers, [H.event]: "failed", [H.agent]: agent }, data };
}

/** The error of a handler whose attempt was aborted. If the abort is the cause and not the work, the attempt is given back. */
export function stopped(agent: string, error: unknown, aborted: AttemptAborted): Outcome {
  if (isOwnVerdict(error)) return failed(agent, error);
  if (aborted.reason === "drain" || aborted.reason === "lost") return returned(agent, aborted.message);
  return failed(agent, aborted);
}

function isOwnVerdict(error: unknown): boolean {
  return (
    isErgonError(error) && error.name !== "AttemptAborted" && (error.kind === "terminal" || error.kind === "retryable")
  );
}

/** The part of an error that goes on the wire. Its issues stay here: the record does not keep them, and they may be anything. */
function failureOf(error: unknown): ErgonError {
  const message = textOf(error);
  if (!isErgonError(error)) return new RetryableError("AGENT_FAILED", message);
  const code = headerText(String(error.code)).slice(0, 64) || "AGENT_FAILED";
  const options = error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs };
  return error.kind === "retryable" || error.kind === "unavailable"
    ? new RetryableError(code, message, options)
    : new TerminalError(code, message, options);
}

/** The text of anything thrown. A handler may throw a value that has no text, and its attempt must end all the same. */
function textOf(error: unknown): string {
  try {
    return messageOf(error).slice(0, 1_024);
  } catch {
    return "the handler threw what has no text";
  }
}
