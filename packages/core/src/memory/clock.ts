import type { Clock, SystemClock, TimerHandle } from "../base/clock.ts";

/** A clock that stands still until a test moves it. The same timers run in the same order every time. */
export interface ManualClock extends Clock {
  /** Moves time by `ms` and runs the due timers in order. After each timer, all ready promise jobs run. */
  advance(ms: number): Promise<void>;
  /**
   * Runs one timer after another until `condition` holds. Throws when it does not hold within `limitMs` (default one hour), or when no timer is left
   * that could change anything.
   */
  runUntil(condition: () => boolean, limitMs?: number): Promise<void>;
  /** Runs the ready promise jobs without moving time. */
  settle(): Promise<void>;
  /** Returns the clock of one process. Its wall clock differs by `offsetMs`. */
  view(offsetMs?: number): ProcessClock;
  /** Lets `ms` pass in which nothing else happens, for example during a slow guard. */
  burn(ms: number): void;
  /** The number of timers that have neither run nor been cancelled. */
  readonly pending: number;
}

/** A process's view of a {@link ManualClock}. */
export interface ProcessClock extends SystemClock {
  /** Stops the process (SIGSTOP). Timers that become due run when it resumes. */
  pause(): void;
  /** Resumes the process. `done` runs after all timers that became due, so that the process reads received messages after them. */
  resume(done?: () => void): void;
  /** Ends the process. None of its timers ever runs. */
  stop(): void;
}

interface Timer {
  readonly due: number;
  readonly order: number;
  run: (() => void) | undefined;
}

const HOUR_MS = 3_600_000;

/** Makes a clock that starts at `startMs`, by default at an arbitrary moment in 2026. */
export function createManualClock(startMs = 1_767_225_600_000): ManualClock {
  const timers = new TimerHeap();
  let elapsed = 0;
  let running = false;

  const after = (delayMs: number, run: () => void): Timer => timers.add(elapsed + Math.max(0, delayMs), run);
  const cancel = (timer: TimerHandle): void => timers.cancel(timer as Timer | undefined);

  const exclusively = async (work: () => Promise<void>): Promise<void> => {
    if (running) throw new Error("this clock is being moved already; await the first call");
    running = true;
    try {
      await work();
    } finally {
      running = false;
    }
  };

  const runNext = async (timer: Timer): Promise<void> => {
    elapsed = Math.max(elapsed, timer.due);
    const { run } = timer;
    timer.run = undefined;
    run?.();
    await promiseJobs();
  };

  return {
    now: () => Math.floor(startMs + elapsed),
    monotonic: () => elapsed,
    after,
    cancel,
    settle: promiseJobs,
    burn: (ms) => {
      elapsed += ms;
    },
    view: (offsetMs = 0) => createView({ startMs: startMs + offsetMs, elapsed: () => elapsed, after, cancel }),
    get pending() {
      return timers.size;
    },
    advance: (ms) =>
      exclusively(async () => {
        const end = elapsed + ms;
        await promiseJobs();
        for (let timer = timers.takeUntil(end); timer !== undefined; timer = timers.takeUntil(end))
          await runNext(timer);
        elapsed = Math.max(elapsed, end);
      }),
    runUntil: (condition, limitMs = HOUR_MS) =>
      exclusively(async () => {
        const end = elapsed + limitMs;
        await promiseJobs();
        while (!condition()) {
          const timer = timers.takeUntil(end);
          if (timer === undefined) {
            const why = timers.size === 0 ? "no timer is left" : `${limitMs} ms have passed`;
            throw new Error(`the condition does not hold, and ${why}: ${condition.toString()}`);
          }
          await runNext(timer);
        }
      }),
  };
}

/** `setImmediate` runs after all ready promise jobs, and after the jobs that these make. */
function promiseJobs(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

interface ViewSource {
  readonly startMs: number;
  elapsed(): number;
  after(delayMs: number, run: () => void): Timer;
  cancel(timer: TimerHandle): void;
}

function createView(source: ViewSource): ProcessClock {
  let offset = source.startMs;
  let state: "running" | "paused" | "stopped" = "running";
  /** The timers that became due during a pause. A timer that runs first may still cancel a later one. */
  const held = new Map<Timer, () => void>();

  const runHeld = (done: (() => void) | undefined): void => {
    if (state !== "running") return;
    const [first] = held;
    if (first === undefined) return done?.();
    const [timer, run] = first;
    held.delete(timer);
    source.after(0, () => runHeld(done));
    run();
  };

  return {
    now: () => Math.floor(offset + source.elapsed()),
    monotonic: () => source.elapsed(),
    after: (delayMs, run) => {
      const timer = source.after(delayMs, () => {
        if (state === "running") run();
        else if (state === "paused") held.set(timer, run);
      });
      return timer;
    },
    cancel: (timer) => {
      if (!held.delete(timer as Timer)) source.cancel(timer);
    },
    adjust: (epochMs) => {
      offset = epochMs - source.elapsed();
    },
    pause: () => {
      if (state === "running") state = "paused";
    },
    resume: (done) => {
      if (state !== "paused") return;
      state = "running";
      source.after(0, () => runHeld(done));
    },
    stop: () => {
      state = "stopped";
      held.clear();
    },
  };
}

/** A binary heap by due time and order of creation. Cancelled timers stay until they reach the top or make up half of it. */
class TimerHeap {
  #heap: Timer[] = [];
  #cancelled = 0;
  #order = 0;

  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  add(due: number, run: () => void): Timer {
    const timer: Timer = { due, order: this.#order++, run };
    this.#heap.push(timer);
    this.#up(this.#heap.length - 1);
    return timer;
  }

  cancel(timer: Timer | undefined): void {
    if (timer?.run === undefined) return;
    timer.run = undefined;
    this.#cancelled++;
    if (this.#cancelled > 1_000 && this.#cancelled * 2 > this.#heap.length) this.#compact();
  }

  /** Removes and returns the next live timer that is due at `end` or before. */
  takeUntil(end: number): Timer | undefined {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (top.run !== undefined && top.due > end) return undefined;
      this.#removeTop();
      if (top.run !== undefined) return top;
      this.#cancelled--;
    }
    return undefined;
  }

  #compact(): void {
    this.#heap = this.#heap
      .filter((timer) => timer.run !== undefined)
      .sort((a, b) => a.due - b.due || a.order - b.order);
    this.#cancelled = 0;
  }

  #removeTop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#down(0);
  }

  #before(a: Timer, b: Timer): boolean {
    return a.due < b.due || (a.due === b.due && a.order < b.order);
  }

  #up(start: number): void {
    const heap = this.#heap;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const [child, above] = [heap[index] as Timer, heap[parent] as Timer];
      if (!this.#before(child, above)) return;
      heap[index] = above;
      heap[parent] = child;
      index = parent;
    }
  }

  #down(start: number): void {
    const heap = this.#heap;
    let index = start;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const least = right < heap.length && this.#before(heap[right] as Timer, heap[left] as Timer) ? right : left;
      const [above, child] = [heap[index] as Timer, heap[least] as Timer];
      if (!this.#before(child, above)) return;
      heap[index] = child;
      heap[least] = above;
      index = least;
    }
  }
}
