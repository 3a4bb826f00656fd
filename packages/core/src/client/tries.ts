import type { Clock, TimerHandle } from "../base/clock.ts";
import { UnavailableError, isErgonError } from "../base/errors.ts";
import type { Bus, Headers, Message } from "../ports/bus.ts";
import type { Moves } from "./moves.ts";
import type { Outcome, Question } from "./question.ts";

/**
 * A try without an answer for this long sends a second request beside the first, which may have gone to a paused node: with one of
 * three nodes stopped, the median of submits is 300 ms instead of 1,070 ms. At most so many tries per second do this: when everything
 * is slow, second requests make it slower (20,000 submits at once caused 81,000 more requests, and took twice the time).
 */
const BESIDE_MS = 300;
const MOST_BESIDE = 100;
const SECOND_MS = 1_000;
/** After a change of owner, a request that is not a wait is repeated only if it is older than this. */
const OVERDUE_MS = 250;

/** Bounds how many second requests a client sends per second. */
export class BesideBudget {
  readonly #clock: Clock;
  #secondBegan = 0;
  #asked = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns whether the client may send one more, and counts it. */
  take(): boolean {
    const now = this.#clock.monotonic();
    if (now - this.#secondBegan >= SECOND_MS) {
      this.#secondBegan = now;
      this.#asked = 0;
    }
    this.#asked += 1;
    return this.#asked <= MOST_BESIDE;
  }
}

export interface TriesParts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly moves: Moves;
  readonly beside: BesideBudget;
  readonly isClosed: () => boolean;
  /** A node has answered. */
  readonly onServed: () => void;
}

/** The headers of a try, how long it waits, and how long its answer counts. */
interface Asking {
  readonly headers: Headers | undefined;
  readonly tryMs: number;
  readonly lastingMs: number;
}

/** The tries of one request, one after the other. A late answer to an earlier try counts as well. */
export class Tries<T> {
  readonly #question: Question<T>;
  readonly #parts: TriesParts;
  #current: Try<T> | undefined;
  #late: Outcome<T> | undefined;

  constructor(question: Question<T>, parts: TriesParts) {
    this.#question = question;
    this.#parts = parts;
  }

  /** An answer that came between two tries. */
  get late(): Outcome<T> | undefined {
    return this.#late;
  }

  /** Asks again. */
  next(asking: Asking): Promise<Outcome<T>> {
    return new Promise((resolve) => {
      this.#current = new Try(this.#question, this.#parts, asking, {
        settled: (outcome) => {
          this.#current = undefined;
          resolve(outcome);
        },
        late: (outcome) => {
          if (this.#current === undefined) this.#late ??= outcome;
          else this.#current.settle(outcome);
        },
      });
      this.#current.start();
    });
  }
}

interface TryListener<T> {
  settled(outcome: Outcome<T>): void;
  /** The answer came after the end of the try. */
  late(outcome: Outcome<T>): void;
}

class Try<T> {
  readonly #question: Question<T>;
  readonly #parts: TriesParts;
  readonly #asking: Asking;
  readonly #listener: TryListener<T>;
  readonly #sentAt: number;
  readonly #onAbort = (): void => this.settle({ kind: "failed", error: this.#question.signal?.reason });
  #forget: (() => void) | undefined;
  #timer: TimerHandle;
  /** Requests that are not answered, and have not failed. */
  #open = 0;
  #isOver = false;

  constructor(question: Question<T>, parts: TriesParts, asking: Asking, listener: TryListener<T>) {
    this.#question = question;
    this.#parts = parts;
    this.#asking = asking;
    this.#listener = listener;
    this.#sentAt = parts.clock.monotonic();
  }

  start(): void {
    const { clock, moves, beside, isClosed } = this.#parts;
    const { shard, signal, besideMs = BESIDE_MS } = this.#question;
    const { tryMs } = this.#asking;
    this.#forget = moves.listen(shard, () => this.#moved());
    signal?.addEventListener("abort", this.#onAbort);
    const end = (): void => this.#end();
    // One timer at a time: most answers come before the first is due.
    this.#timer =
      besideMs < tryMs
        ? clock.after(besideMs, () => {
            this.#timer = clock.after(tryMs - besideMs, end);
            if (!isClosed() && beside.take()) this.#send();
          })
        : clock.after(tryMs, end);
    this.#send();
  }

  settle(outcome: Outcome<T>): void {
    this.#isOver = true;
    this.#forget?.();
    this.#parts.clock.cancel(this.#timer);
    this.#question.signal?.removeEventListener("abort", this.#onAbort);
    this.#listener.settled(outcome);
  }

  #send(): void {
    const { bus, onServed } = this.#parts;
    const { subject, data } = this.#question;
    const { headers, tryMs, lastingMs } = this.#asking;
    this.#open += 1;
    // The answer of a slow node counts after the end of its try too: a repeated request would have to wait again.
    bus.request(subject, data ?? new Uint8Array(), { headers, timeoutMs: Math.max(tryMs, lastingMs) }).then(
      (message) => {
        onServed();
        const outcome = this.#read(message);
        if (!this.#isOver) this.settle(outcome);
        else if (outcome.kind !== "failed" || !isUnavailable(outcome.error)) this.#listener.late(outcome);
      },
      (error: unknown) => {
        this.#open -= 1;
        if (this.#open === 0 && !this.#isOver) this.settle({ kind: "failed", error });
      },
    );
  }

  #read(message: Message): Outcome<T> {
    try {
      return { kind: "answer", value: this.#question.read(message) };
    } catch (error) {
      return { kind: "failed", error };
    }
  }

  /** The nodes that may answer have changed. */
  #moved(): void {
    const { clock, isClosed } = this.#parts;
    const isDue = this.#question.waitUntil !== undefined || clock.monotonic() - this.#sentAt >= OVERDUE_MS;
    if (isClosed() || isDue) this.settle({ kind: "moved" });
  }

  #end(): void {
    const message = `no answer on ${this.#question.subject} within ${this.#asking.tryMs} ms`;
    this.settle({ kind: "failed", error: new UnavailableError("REQUEST_TIMEOUT", message) });
  }
}

/** Returns true if the same request may succeed later. */
export function isUnavailable(error: unknown): boolean {
  return isErgonError(error) && error.kind === "unavailable";
}
