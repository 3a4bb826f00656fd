import type { Attempt } from "./attempt.ts";

/**
 * What runs an attempt: answers the response (see `toResponse` for what may be returned), or throws.
 * `TerminalError` fails the task for good; `RetryableError` fails the attempt, and its `retryAfterMs` is the least pause before
 * the next; anything else thrown is a retryable failure with code `AGENT_FAILED` and the error's message.
 */
export type Handler = (attempt: Attempt) => unknown;

/** Runs around a handler: calls `next` once, or not at all, and answers or throws as a handler does. */
export type Middleware = (attempt: Attempt, next: (attempt: Attempt) => Promise<unknown>) => unknown;

/**
 * One chain for one driver: the last added is the outermost, so of `[A, B, C]` an attempt passes C, B, A, and then the handler
 * (B-27). Each driver has a chain of its own (B-28).
 */
export function compose(handler: Handler, middleware: readonly Middleware[]): Handler {
  return middleware.reduce<Handler>(
    (inner, layer) => (attempt) => layer(attempt, async (passed) => inner(passed)),
    handler,
  );
}
