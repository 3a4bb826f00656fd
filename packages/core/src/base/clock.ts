/** A pending timer; give it back to {@link Clock.cancel}. */
export type TimerHandle = unknown;

/**
 * Time as a port: nothing in Ergon but this file reads a clock or sets a timer.
 *
 * `now` is the time that records carry: the NATS server's, once a node has compared clocks, so nodes whose own
 * clocks differ by an hour agree. `monotonic` never jumps and measures intervals within one process.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number;
  /** Calls `run` once after `delayMs`. Delays beyond what the platform can hold are the caller's to split. */
  after(delayMs: number, run: () => void): TimerHandle;
  /** Cancels a timer; unknown and finished ones are ignored. */
  cancel(timer: TimerHandle): void;
}

/** The longest delay that one platform timer holds (2^31-1 ms, 24.8 days). */
export const MAX_TIMER_MS = 2_147_483_647;

/** A clock on the process's monotonic time, with an offset that {@link SystemClock.adjust} moves. */
export interface SystemClock extends Clock {
  /** Makes `now()` answer `epochMs` at this moment. */
  adjust(epochMs: number): void;
}

/** The real clock. Starts from the machine's wall clock; later jumps of that clock do not reach it. */
export function createSystemClock(): SystemClock {
  let offset = Date.now() - performance.now();
  return {
    now: () => Math.round(performance.now() + offset),
    monotonic: () => performance.now(),
    after: (delayMs, run) => setTimeout(run, delayMs),
    cancel: (timer) => clearTimeout(timer as NodeJS.Timeout),
    adjust: (epochMs) => {
      offset = epochMs - performance.now();
    },
  };
}

/** Resolves after `delayMs` of `clock`. */
export function delay(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}

/** The last time that a date can tell, epoch milliseconds. */
export const LAST_TIME = 8_640_000_000_000_000;

/** A time as text: ISO 8601 in UTC. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** The milliseconds since 1970 of a time as text; `NaN` for a text that is none. */
export function parseIsoTime(text: string): number {
  return Date.parse(text);
}
