import type { Gap } from "../actor/state.ts";
import type { TaskSpec } from "./spec.ts";
import type { TaskStatus } from "./status.ts";

/** One line of a task's history: `[time, status, attempt, agent, reason]`. */
export type HistoryEntry = readonly [at: number, status: TaskStatus, attempt: number, agent?: string, reason?: string];

/** The failure of a task, or of one of its attempts. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** True if another attempt might succeed. */
  readonly retryable: boolean;
}

/** The author of a decision about a task, and the reason. */
export interface Decision {
  readonly by: string;
  readonly reason: string;
}

/** The task's own fields, which the record holds as the machine's context. Times are epoch milliseconds. */
export interface TaskContext extends TaskSpec {
  readonly scheduledAt: number;
  /** The start of the present wait for an agent. */
  readonly readyAt?: number;
  /** The start of the first attempt. */
  readonly startedAt?: number | undefined;
  readonly endedAt?: number;
  readonly updatedAt: number;
  /** The number of the current or last attempt, or 0 before the first. It grows with every dispatch that an agent may have received. */
  readonly attempt: number;
  readonly attemptAt?: number | undefined;
  /** The number of attempts that failed, and the number of attempts that were lost with their agent. */
  readonly failures: number;
  readonly lost: number;
  /** The number of attempts that agents returned unfinished. */
  readonly returns?: number;
  readonly agent?: string | undefined;
  /** The latest end of the current attempt. */
  readonly deadline?: number | undefined;
  readonly backoff?: number;
  /** The reason for the task's present status, in words. */
  readonly reason?: string | undefined;
  readonly failure?: Failure;
  readonly response?: Uint8Array;
  readonly responseType?: string | undefined;
  readonly cancel?: Decision;
  readonly batch?: string | undefined;
  /** True after the parent has confirmed the end of the task. */
  readonly told?: true;
  readonly history: readonly HistoryEntry[];
}

interface At {
  readonly at: number;
  readonly chance: number;
  readonly gap?: Gap | undefined;
  /** The reason why the task got no agent, when the event ends its wait for one. */
  readonly cause?: string | undefined;
}

/** The events that can happen to a task. */
export type TaskEvent = At &
  (
    | { readonly type: "release" }
    /** The node has chosen an agent, and a new attempt begins. */
    | { readonly type: "start"; readonly agent: string }
    /** The node offers the attempt to all subscribers of the driver's subject. */
    | { readonly type: "offer" }
    /** The server reported that the subject of the attempt has no subscriber, or, with a reason, that it refuses messages to the subject. */
    | { readonly type: "unserved"; readonly attempt?: number | undefined; readonly reason?: string | undefined }
    /** The server did not refuse the offer, so a subscriber has it. */
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
    /** The agent returned the attempt unfinished (drain, no free slot). */
    | { readonly type: "returned"; readonly attempt: number; readonly reason: string }
    | { readonly type: "silent"; readonly attempt: number }
    | ({ readonly type: "cancel" } & Decision)
    | ({ readonly type: "end" } & Decision)
  );

export interface TaskInput extends At {
  readonly spec: TaskSpec;
  /** The batch whose admission is not decided yet. The task is held until then. */
  readonly batch?: string | undefined;
  /** An agent with a free slot. The first attempt begins in the write that stores the task. */
  readonly agent?: string | undefined;
}

/** The effects of the task machine. */
export interface DispatchParams {
  readonly attempt: number;
  /** `undefined` stands for any subscriber of the driver's subject. */
  readonly agent: string | undefined;
}
export interface AbortParams {
  readonly attempt: number;
  readonly agent: string | undefined;
  readonly reason: "cancelled" | "timeout" | "ended" | "lost";
}
