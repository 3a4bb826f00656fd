import { ErgonError } from "@ergon/core";
import type { ErrorKind } from "@ergon/core";

/**
 * Why an attempt has to stop:
 * `cancelled`, `ended`: a client cancelled or ended the task. `timeout`: the deadline has passed. `lost`: the node gave the
 * attempt up, or this agent was cut off from NATS for too long. `stale`: the task has ended, and a later task with the same id has
 * begun. `drain`: the agent stops.
 */
export type AbortReason = "cancelled" | "timeout" | "ended" | "lost" | "stale" | "drain";

interface Meaning {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly message: string;
}

const meanings: Readonly<Record<AbortReason, Meaning>> = {
  cancelled: { kind: "terminal", code: "TASK_CANCELLED", message: "the task was cancelled" },
  timeout: { kind: "retryable", code: "ATTEMPT_TIMEOUT", message: "the attempt's deadline has passed" },
  ended: { kind: "terminal", code: "ENDED_BY_FORCE", message: "the task was ended by force" },
  lost: { kind: "stale", code: "ATTEMPT_STALE", message: "the attempt counts as lost" },
  stale: { kind: "stale", code: "ATTEMPT_STALE", message: "the task has ended; a later one has its id" },
  drain: { kind: "retryable", code: "AGENT_DRAINING", message: "the agent stops; the attempt goes to another" },
};

/** The reason of an attempt's `AbortSignal`. A handler may throw it again, as `fetch` and similar functions do. */
export class AttemptAborted extends ErgonError {
  override readonly name = "AttemptAborted";
  readonly reason: AbortReason;

  constructor(reason: AbortReason) {
    const { kind, code, message } = meanings[reason];
    super(kind, code, message);
    this.reason = reason;
  }
}

const controlReasons: ReadonlySet<string> = new Set(["cancelled", "timeout", "ended", "lost"] satisfies AbortReason[]);

/** The reason in an `abort` on the wire. A reason that this version does not know counts as `ended`. */
export function parseAbortReason(text: string | undefined): AbortReason {
  return text !== undefined && controlReasons.has(text) ? (text as AbortReason) : "ended";
}
