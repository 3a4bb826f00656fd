import type { ParentLink } from "../actor/parent-link.ts";
import type { Failure } from "../task/task-context.ts";
import type { SeenAge, SeenEvents } from "./seen-events.ts";
import type { Tell } from "./tell.ts";

/** How an instance of a machine stands, as users see it. The machine's own state is beside it. */
export type MachineStatus = "running" | "succeeded" | "failed" | "cancelled";

/** What a record keeps of an instance beside its snapshot and its timers. Times are epoch milliseconds. */
export interface MachineMeta {
  readonly id: string;
  readonly status: MachineStatus;
  readonly startedAt: number;
  readonly updatedAt: number;
  readonly endedAt?: number;
  /** Why it ended as it did, or who ended it. */
  readonly reason?: string | undefined;
  readonly failure?: Failure | undefined;
  /** It has taken a cancel as an event. */
  readonly cancelTaken?: true;
  readonly correlationId?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly retentionMs: number;
  readonly parent?: ParentLink | undefined;
  /** The tags of the states that it is in. */
  readonly stateTags: readonly string[];
  /** The instance that this one repeats. */
  readonly origin?: string | undefined;
  /** The input's fingerprint: a repeated start with another input is a conflict. */
  readonly fingerprint: number;
  /** The number for the next thing that one of its actors asks for. */
  readonly nextKey: number;
  /** Durable children by number. */
  readonly children: Readonly<Record<string, { readonly id: string; readonly machine: string }>>;
  readonly sent: number;
  readonly outbox: readonly Tell[];
  /** The number of the last message of each durable actor that it has taken. */
  readonly heard: Readonly<Record<string, number>>;
  /** The ids of the events that clients sent, for as long as one may be repeated. */
  readonly seen: SeenEvents;
  readonly seenAge?: SeenAge | undefined;
  /** The answers that ended its last embedded tasks, oldest first: the tasks are gone, and an answer that is sent again is known by these. */
  readonly answered?: readonly Answered[];
  readonly history: readonly MachineHistoryEntry[];
}

/** Which task, by its number, which attempt of it, and a checksum of the answer. */
export type Answered = readonly [key: number, attempt: number, fingerprint: number];

/** `[time, state, reason]`. */
export type MachineHistoryEntry = readonly [at: number, state: string, reason?: string];

/** Limits of an instance's record. */
export const machineLimits = {
  /** Answers of embedded tasks whose repetition is recognised. */
  answered: 64,
  historyEntries: 32,
  eventIdLength: 64,
  /** Durable actors above one, each the parent of the next: what starts itself for ever comes to an end. */
  depth: 100,
} as const;
