import type { Timer } from "./state.ts";

/** What the bucket holds for an actor, after the version byte. Unknown fields are kept in `rest`. */
export interface RecordFields {
  readonly machine: string;
  readonly version: string;
  readonly snapshot: PersistedSnapshot;
  readonly timers: readonly Timer[];
  /** Of an instance of a user's machine: what is kept beside its snapshot. */
  readonly meta?: unknown;
  /** The tasks that are embedded in it, by number. */
  readonly tasks?: Readonly<Record<string, unknown>> | undefined;
  /** Nothing but an event or a timer moves it: it need not be unpacked before. */
  readonly idle: boolean;
  readonly rest: Readonly<Record<string, unknown>> | undefined;
}

export interface PersistedSnapshot {
  readonly status: string;
  readonly value: unknown;
  readonly context: unknown;
  /** What else its engine keeps. */
  readonly [field: string]: unknown;
}
