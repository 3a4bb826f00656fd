import type { Attempt } from "./attempt.ts";

/**
 * Runs an attempt: returns the response (`toResponse` lists the allowed values), or throws.
 * `TerminalError` fails the task for good. `RetryableError` fails the attempt, and its `retryAfterMs` is the shortest pause before
 * the next attempt. Anything else thrown is a retryable failure with code `AGENT_FAILED` and the error's message.
 */
export type Handler = (attempt: Attempt) => unknown;

/** Runs around a handler: calls `next` once, or not at all, and returns or throws as a handler does. */
export type Middleware = (attempt: Attempt, next: (attempt: Attempt) => Promise<unknown>) => unknown;

/**
 * Builds the chain of one driver. The last middleware is the outermost: with `[A, B, C]`, an attempt passes C, B, A, and then the handler.
 * Each driver has a chain of its own.
 */
export function compose(handler: Handler, middleware: readonly Middleware[]): Handler {
  return middleware.reduce<Handler>(
    (inner, layer) => (attempt) => layer(attempt, async (passed) => inner(passed)),
    handler,
  );
}
