import type { Timer } from "./state.ts";

/** The content of an actor's record after the version byte. `rest` keeps unknown fields. */
export interface RecordFields {
  readonly machine: string;
  readonly version: string;
  readonly snapshot: PersistedSnapshot;
  readonly timers: readonly Timer[];
  /** In an instance of a machine: the data beside its snapshot. */
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
  /** Further data of the engine. */
  readonly [field: string]: unknown;
}
