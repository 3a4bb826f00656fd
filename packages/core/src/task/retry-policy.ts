import type { Backoff } from "../base/backoff.ts";

/** The policy that decides whether and when a failed attempt is retried. */
export interface RetryPolicy extends Backoff {
  /** The most attempts that may fail, including the first. The value 1 never retries. Lost attempts do not count here. */
  readonly maxAttempts: number;
  /** The error codes that end the task even if the agent calls them retryable. */
  readonly never: readonly string[];
}
