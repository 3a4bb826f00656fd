import type { Timer } from "./state.ts";

/** The content of an actor's record after the version byte. `rest` keeps unknown fields. */
export interface RecordFields {
  readonly machine: string;
  readonly version: string;
  readonly snapshot: PersistedSnapshot;
  readonly timers: readonly Timer[];
  /** The data of a machine's instance beside its snapshot. */
  readonly meta?: unknown;
  /** The embedded tasks by number. */
  readonly tasks?: Readonly<Record<string, unknown>> | undefined;
  /** True if only an event or a timer moves the actor, so that a node need not unpack the record before. */
  readonly idle: boolean;
  readonly rest: Readonly<Record<string, unknown>> | undefined;
}

export interface PersistedSnapshot {
  readonly status: string;
  readonly value: unknown;
  readonly context: unknown;
  /** Further data of the engine. */
  readonly [field: string]: unknown;
}
