import type { Backoff } from "../base/backoff.ts";

/** When a failed attempt is followed by another. */
export interface RetryPolicy extends Backoff {
  /** Most attempts that may fail, the first included. 1 never retries. Lost attempts count elsewhere. */
  readonly maxAttempts: number;
  /** Codes that are final however the agent calls them. */
  readonly never: readonly string[];
}
