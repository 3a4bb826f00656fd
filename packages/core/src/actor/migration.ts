import type { Timer } from "./state.ts";

/** The parts of an instance that a migration sees and may replace. It is a copy, so the migration may change it. */
export interface Migratable {
  /** XState's state value. */
  readonly value: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  /** The actors inside, by id, as XState persists them: what they are (`src`) and their own `snapshot`. */
  readonly children: Readonly<Record<string, unknown>>;
  /** The states that its history states lead back to. */
  readonly historyValue: Readonly<Record<string, unknown>>;
  /** The timers that run: the id and the event that the machine gave them, and when they are due, epoch milliseconds. */
  readonly timers: readonly Timer[];
}

/**
 * Brings an instance of a former version to this one: what it answers replaces what was there, all else stays. Pure and at once; what it throws
 * leaves the instance on its version. No action of the new state is run and nothing it invokes is started: give `children` and `timers` that fit.
 */
export type Migration = (instance: Migratable) => Partial<Migratable>;
