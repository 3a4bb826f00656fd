import { messageOf, type Logger, type SystemClock, type TimerHandle } from "@ergon/core";
import { type RecordStore } from "@ergon/core/engine";

/** The pause between two readings of the server's clock when nothing else asks for one. */
const READ_MS = 30_000;
/** If a clock moved by more than this, an operator or NTP set it. */
const STEP_MS = 500;

export interface ServerTimeParts {
  readonly clock: SystemClock;
  readonly records: RecordStore;
  readonly logger: Logger;
}

/**
 * The NATS server's clock. The node's clock follows it, so nodes whose own clocks differ by an hour write the same times and fire the same timers (M-12,
 * ADR-0011).
 */
export class ServerTime {
  /** The reader calls this when a reading shows that somebody set the server's clock or the node's clock. */
  onStep: () => void = () => undefined;
  readonly #parts: ServerTimeParts;
  #passed = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  #timer: TimerHandle;
  #unread = false;
  #stopped = false;

  constructor(parts: ServerTimeParts) {
    this.#parts = parts;
  }

  /** The time that the server's clock has passed by the newest reading. */
  get passed(): number {
    return this.#passed;
  }

  /** Reads the server's clock and sets the node's clock by it. Callers share one request. Rejects if no answer came. */
  read(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Reads the clock now and every 30 s. Resolves after the first reading, even if it failed. */
  async follow(): Promise<void> {
    await this.read().catch(() => undefined);
    if (this.#stopped) return;
    this.#timer = this.#parts.clock.after(READ_MS, () => void this.follow());
  }

  stop(): void {
    this.#stopped = true;
    this.#parts.clock.cancel(this.#timer);
  }

  async #read(): Promise<void> {
    const { clock, records, logger } = this.#parts;
    const sent = clock.monotonic();
    try {
      const shown = await records.time();
      this.#set(shown, clock.monotonic() - sent);
      if (this.#unread) logger.info({}, "the server's time can be read again");
      this.#unread = false;
    } catch (error) {
      const reason = messageOf(error);
      if (!this.#unread && !this.#stopped)
        logger.warn(
          { reason },
          "the server's time could not be read; the node uses its last reading, and schedules wait",
        );
      this.#unread = true;
      throw error;
    }
  }

  /** The server's clock is between `shown` and `shown` plus the time that the answer took. The node's clock stays as it is within these bounds. */
  #set(shown: number, tookMs: number): void {
    const { clock } = this.#parts;
    const isFirst = this.#passed === Number.NEGATIVE_INFINITY;
    this.#passed = shown;
    const before = clock.now();
    const now = isFirst ? shown + tookMs / 2 : Math.min(Math.max(before, shown), shown + tookMs);
    if (now === before) return;
    clock.adjust(now);
    if (!isFirst && Math.abs(now - before) > STEP_MS) {
      this.#parts.logger.warn({ byMs: Math.round(now - before) }, "the server's clock was set; the node follows it");
      this.onStep();
    }
  }
}
