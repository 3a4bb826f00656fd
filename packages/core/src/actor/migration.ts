import type { Timer } from "./state.ts";

/** The parts of an instance that a migration sees and may replace. It is a copy, so the migration may change it. */
export interface Migratable {
  /** XState's state value. */
  readonly value: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  /** The inner actors by id, as XState persists them. Each has a `src` and a `snapshot`. */
  readonly children: Readonly<Record<string, unknown>>;
  /** The states to which its history states lead back. */
  readonly historyValue: Readonly<Record<string, unknown>>;
  /** The running timers. Each has the id and the event that the machine gave it, and its due time in epoch milliseconds. */
  readonly timers: readonly Timer[];
}

/**
 * Brings an instance of a former version to this one. The fields that it returns replace the present ones, and all others stay. The function is pure
 * and synchronous. An error leaves the instance on its version. Neither actions nor invoked actors of the new state start, so the returned `children`
 * and `timers` must fit that state.
 */
export type Migration = (instance: Migratable) => Partial<Migratable>;
