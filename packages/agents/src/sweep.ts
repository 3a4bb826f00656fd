import type { Clock, TimerHandle } from "@ergon/core";

/** Sweeps are at least this far apart, so that many short-lived attempts cost one timer. */
const REST_MS = 10;

/** Timers of a real clock may come this early. */
export const EARLY_MS = 0.5;

/**
 * One timer for everything that is due in an agent. Code that expects something calls `wake` with its due time. A sweep looks at
 * everything, and returns the next due time.
 */
export class Sweep {
  readonly #clock: Clock;
  readonly #run: (now: number) => number;
  #timer: TimerHandle;
  #armedFor = Infinity;
  #stopped = false;

  constructor(clock: Clock, run: (now: number) => number) {
    this.#clock = clock;
    this.#run = run;
  }

  /** Ensures that a sweep runs at `due` (monotonic) or before. */
  wake(due: number): void {
    if (due >= this.#armedFor || this.#stopped) return;
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#armedFor = due;
    // A sweep looks again in a day at a due time beyond a day: no platform timer holds more than 24.8 days.
    const delayMs = Math.min(86_400_000, Math.max(0, due - this.#clock.monotonic()));
    this.#timer = this.#clock.after(delayMs, () => this.#fire());
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  #fire(): void {
    this.#timer = undefined;
    this.#armedFor = Infinity;
    const now = this.#clock.monotonic();
    const next = this.#run(now);
    if (next < Infinity) this.wake(Math.max(next, now + REST_MS));
  }
}
