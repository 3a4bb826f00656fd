import type { ParentLink } from "../actor/parent-link.ts";
import type { Failure } from "../task/task-context.ts";
import type { SeenAge, SeenEvents } from "./seen-events.ts";
import type { Tell } from "./tell.ts";

/** The status of an instance, as users see it. The machine's own state stands beside it. */
export type MachineStatus = "running" | "succeeded" | "failed" | "cancelled";

/** The fields that a record keeps of an instance beside its snapshot and its timers. Times are epoch milliseconds. */
export interface MachineMeta {
  readonly id: string;
  readonly status: MachineStatus;
  readonly startedAt: number;
  readonly updatedAt: number;
  readonly endedAt?: number;
  /** The reason of its end, or the actor that ended it. */
  readonly reason?: string | undefined;
  readonly failure?: Failure | undefined;
  /** True if the machine has taken a cancel as an event. */
  readonly cancelTaken?: true;
  readonly correlationId?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly retentionMs: number;
  readonly parent?: ParentLink | undefined;
  /** The tags of the present states. */
  readonly stateTags: readonly string[];
  /** The instance that this one repeats. */
  readonly origin?: string | undefined;
  /** The fingerprint of the input. A repeated start with another input is a conflict. */
  readonly fingerprint: number;
  /** The number for the next request of one of its actors. */
  readonly nextKey: number;
  /** Durable children by number. */
  readonly children: Readonly<Record<string, { readonly id: string; readonly machine: string }>>;
  readonly sent: number;
  readonly outbox: readonly Tell[];
  /** The number of the last message that it has taken from each durable actor. */
  readonly heard: Readonly<Record<string, number>>;
  /** The ids of clients' events, kept for as long as a client may repeat one. */
  readonly seen: SeenEvents;
  readonly seenAge?: SeenAge | undefined;
  /** The answers that ended its last embedded tasks, oldest first. They identify a repeated answer after its task is gone. */
  readonly answered?: readonly Answered[];
  readonly history: readonly MachineHistoryEntry[];
}

/** The task's number, the attempt, and a checksum of the answer. */
export type Answered = readonly [key: number, attempt: number, fingerprint: number];

/** `[time, state, reason]`. */
export type MachineHistoryEntry = readonly [at: number, state: string, reason?: string];

/** The limits of an instance's record. */
export const machineLimits = {
  /** The number of embedded tasks' answers whose repetition is recognised. */
  answered: 64,
  historyEntries: 32,
  eventIdLength: 64,
  /** The number of durable actors above one, each the parent of the next. The limit ends a machine that starts itself for ever. */
  depth: 100,
} as const;
