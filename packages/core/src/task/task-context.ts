import type { Gap } from "../actor/state.ts";
import type { TaskSpec } from "./spec.ts";
import type { TaskStatus } from "./status.ts";

/** One line of a task's history: `[time, status, attempt, agent, reason]`. */
export type HistoryEntry = readonly [at: number, status: TaskStatus, attempt: number, agent?: string, reason?: string];

/** Why a task, or one of its attempts, failed. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** Whether another attempt might have succeeded. */
  readonly retryable: boolean;
}

/** The author of a decision about a task, and the reason. */
export interface Decision {
  readonly by: string;
  readonly reason: string;
}

/** A task's own fields: the machine's context, as the record holds it. Times are epoch milliseconds. */
export interface TaskContext extends TaskSpec {
  readonly scheduledAt: number;
  /** When the present wait for an agent began. */
  readonly readyAt?: number;
  /** When the first attempt began. */
  readonly startedAt?: number | undefined;
  readonly endedAt?: number;
  readonly updatedAt: number;
  /** Number of the current or last attempt; 0 before the first. Grows with every dispatch that may have been heard. */
  readonly attempt: number;
  readonly attemptAt?: number | undefined;
  /** Attempts that failed, and attempts that were lost with their agent. */
  readonly failures: number;
  readonly lost: number;
  /** Attempts that were handed back unfinished. */
  readonly returns?: number;
  readonly agent?: string | undefined;
  /** Latest end of the current attempt. */
  readonly deadline?: number | undefined;
  readonly backoff?: number;
  /** Why the task is where it is, in words. */
  readonly reason?: string | undefined;
  readonly failure?: Failure;
  readonly response?: Uint8Array;
  readonly responseType?: string | undefined;
  readonly cancel?: Decision;
  readonly batch?: string | undefined;
  /** The parent has heard of its end: nothing is left to be told. */
  readonly told?: true;
  readonly history: readonly HistoryEntry[];
}

interface At {
  readonly at: number;
  readonly chance: number;
  readonly gap?: Gap | undefined;
  /** In the bound of a wait for an agent: the reason why the task got none. */
  readonly cause?: string | undefined;
}

/** Everything that can happen to a task. */
export type TaskEvent = At &
  (
    | { readonly type: "release" }
    /** An agent has been chosen: a new attempt begins. */
    | { readonly type: "start"; readonly agent: string }
    /** The attempt is given to whoever serves the driver's subject, if anyone does. */
    | { readonly type: "offer" }
    /** The server said that nobody serves the subject of the attempt, or, with a reason, that it refuses what is sent there. */
    | { readonly type: "unserved"; readonly attempt?: number | undefined; readonly reason?: string | undefined }
    /** The offer was not refused: somebody has it. */
    | { readonly type: "taken"; readonly attempt: number; readonly agent?: string | undefined }
    | {
        readonly type: "succeeded";
        readonly attempt: number;
        readonly response: Uint8Array;
        readonly contentType?: string | undefined;
        readonly agent?: string | undefined;
      }
    | {
        readonly type: "failed";
        readonly attempt: number;
        readonly failure: Failure;
        readonly retryAfterMs?: number | undefined;
        readonly agent?: string | undefined;
      }
    | { readonly type: "lost"; readonly attempt: number; readonly reason: string }
    /** The agent gave the attempt back unfinished (drain, no free slot). */
    | { readonly type: "returned"; readonly attempt: number; readonly reason: string }
    | { readonly type: "silent"; readonly attempt: number }
    | ({ readonly type: "cancel" } & Decision)
    | ({ readonly type: "end" } & Decision)
  );

export interface TaskInput extends At {
  readonly spec: TaskSpec;
  /** The batch whose admission is still to be decided; the task is held until then. */
  readonly batch?: string | undefined;
  /** An agent with a free slot: the first attempt begins with the task, in the same write. */
  readonly agent?: string | undefined;
}

/** Effects of the task machine. */
export interface DispatchParams {
  readonly attempt: number;
  /** `undefined`: whoever serves the driver's subject. */
  readonly agent: string | undefined;
}
export interface AbortParams {
  readonly attempt: number;
  readonly agent: string | undefined;
  readonly reason: "cancelled" | "timeout" | "ended" | "lost";
}
