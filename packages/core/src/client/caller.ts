import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { formatDuration } from "../base/duration.ts";
import { InvalidError, UnavailableError, isErgonError, type ErrorCode } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { eventMemory } from "../machines/seen-events.ts";
import type { Bus, Headers } from "../ports/bus.ts";
import { H } from "../wire/headers.ts";
import { followConnection } from "./follow-connection.ts";
import type { Moves } from "./moves.ts";
import type { Question } from "./question.ts";
import { BesideBudget, Tries, isUnavailable } from "./tries.ts";

/** The longest wait of one request to a node. */
const ROUND_MS = 10_000;
/** The delay of an answer after the requested wait. */
const GRACE_MS = 3_000;
/**
 * How long one try of a request waits for its answer. A paused node gets its share of the requests until its session ends; the
 * next try may reach another node. After three tries without an answer for their whole length, each further try lasts twice as long as the one
 * before, in case the answer is slow. A try that failed at once says nothing about the time of an answer, and silence before a
 * reconnect says nothing about the time after it.
 */
const TRY_MS = 1_000;
const SHORT_TRIES = 3;
/** A call that finds no node for this long reports it. */
const ALONE_MS = 1_000;
/** A node remembers such a request for a limited time, so the client repeats it for a minute less: the last repetition has that minute to arrive. */
const LONGEST_REPEAT_MS = eventMemory.ms - 60_000;
const pauses = { initialMs: 50, factor: 2, maxMs: 2_000, jitter: 0.5 };

export interface Caller {
  readonly clock: Clock;
  /** The longest time of a call without an answer. */
  readonly timeoutMs: number;
  /**
   * Sends the request until there is an answer: again after errors of kind `unavailable`, and at once when the task's shard has a new owner or the
   * connection is back. Throws the last such error once `timeoutMs` have passed, and any other error at once. A wait continues through any outage
   * until its `waitUntil`; `timeoutMs` bounds it only if no node has ever answered this client. A `REQUEST_TIMEOUT` names the whole time.
   */
  ask<T>(question: Question<T>): Promise<T>;
  /** Waits before the next try; shorter when an owner changes or the connection is back. */
  pause(failures: number, error: unknown, shard: number | undefined): Promise<void>;
  /** True if no node has ever answered this client on a connection that was never lost. The client may use a wrong namespace. */
  readonly lonely: boolean;
  /** A node has answered by a way other than {@link Caller.ask}. */
  noteServed(): void;
  /** Throws `UnavailableError` once the client is closed. */
  requireOpen(): void;
  close(): void;
}

export interface CallerParts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly moves: Moves;
  readonly timeoutMs: number;
  /** Called once per call when no node has served it for a second; the call continues. */
  readonly onNoNode?: (() => void) | undefined;
  /** Called when there has been no connection for a second, and again when it is back. */
  readonly onNatsAway?: ((away: boolean) => void) | undefined;
}

export function createCaller(parts: CallerParts): Caller {
  return new BusCaller(parts);
}

class BusCaller implements Caller {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly #parts: CallerParts;
  readonly #connection: ReturnType<typeof followConnection>;
  readonly #beside: BesideBudget;
  #isClosed = false;
  #wasServed = false;

  constructor(parts: CallerParts) {
    this.#parts = parts;
    this.clock = parts.clock;
    this.timeoutMs = parts.timeoutMs;
    this.#connection = followConnection(parts.bus, parts.clock, parts.onNatsAway);
    this.#beside = new BesideBudget(parts.clock);
  }

  get lonely(): boolean {
    return !this.#wasServed && !this.#connection.wasLost;
  }

  noteServed(): void {
    this.#wasServed = true;
  }

  requireOpen(): void {
    if (this.#isClosed) throw new UnavailableError("NATS_UNREACHABLE", "this client is closed");
    if (this.#connection.closed) throw new UnavailableError("NATS_UNREACHABLE", "the connection to NATS is closed");
  }

  close(): void {
    this.#isClosed = true;
    this.#connection.forget();
  }

  pause(failures: number, error: unknown, shard: number | undefined): Promise<void> {
    const { clock, random, moves } = this.#parts;
    return new Promise((resolve) => {
      const least = isErgonError(error) ? (error.retryAfterMs ?? 0) : 0;
      const done = (): void => {
        forget();
        clock.cancel(timer);
        resolve();
      };
      const timer = clock.after(Math.max(least, backoffMs(pauses, failures, random())), done);
      const forget = moves.listen(shard, done);
    });
  }

  async ask<T>(question: Question<T>): Promise<T> {
    const { clock, bus, moves, timeoutMs } = this.#parts;
    const { waitUntil, signal } = question;
    const begin = clock.monotonic();
    const deadline = deadlineOf(question, begin, timeoutMs);
    const tries = new Tries<T>(question, {
      bus,
      clock,
      moves,
      beside: this.#beside,
      isClosed: () => this.#isClosed,
      onServed: () => this.noteServed(),
    });
    const nobody = new NoNode(this.#parts);
    let lastError: unknown;
    let failures = 0;
    let silences = 0;
    let { connections } = moves;
    for (;;) {
      this.requireOpen();
      signal?.throwIfAborted();
      const now = clock.monotonic();
      const wait = waitMs(waitUntil, now);
      const headers =
        waitUntil === undefined ? question.headers : { ...question.headers, [H.wait]: `${Math.max(1, wait)}ms` };
      requireFitting(question.data, headers, bus.maxMessageBytes);
      const tryMs = (question.tryMs ?? TRY_MS) * 2 ** Math.max(0, silences + 1 - SHORT_TRIES);
      const patience = waitUntil === undefined ? tryMs : wait + GRACE_MS;
      const leftMs = Math.ceil(Math.max(1, deadline - now));
      const lastingMs = waitUntil === undefined ? leftMs : patience;
      const outcome =
        tries.late ?? (await tries.next({ headers, tryMs: Math.min(Math.ceil(patience), leftMs), lastingMs }));
      if (outcome.kind === "answer") return outcome.value;
      if (outcome.kind === "moved") continue;
      const { error } = outcome;
      if (!isUnavailable(error)) throw error;
      const askedMs = clock.monotonic() - begin;
      const givesUp = waitUntil === Infinity && this.lonely && askedMs >= timeoutMs;
      // If the end of the call has cut the last try short, its silence says less than the try before it.
      const wasCut = deadline - now < patience && isErgonError(error) && error.code === "REQUEST_TIMEOUT";
      if (givesUp || begin + askedMs >= deadline)
        throw ofWholeCall(wasCut ? (lastError ?? error) : error, question, askedMs);
      lastError = error;
      failures += 1;
      if (clock.monotonic() - now >= tryMs) silences += 1;
      nobody.failed(error, now);
      await this.pause(failures, error, question.shard);
      if (moves.connections === connections) continue;
      ({ connections } = moves);
      failures = 0;
      silences = 0;
    }
  }
}

/** Says once a call that no node has served it for a second. */
class NoNode {
  readonly #parts: CallerParts;
  #since: number | undefined;
  #told = false;

  constructor(parts: CallerParts) {
    this.#parts = parts;
  }

  /** A try that was sent at `sentAt` has failed. */
  failed(error: unknown, sentAt: number): void {
    const isNobody = isErgonError(error) && error.code === "NO_NODE";
    this.#since = isNobody ? (this.#since ?? sentAt) : undefined;
    if (this.#told || this.#since === undefined || this.#parts.clock.monotonic() - this.#since < ALONE_MS) return;
    this.#told = true;
    this.#parts.onNoNode?.();
  }
}

/** The time at which a request is given up. */
function deadlineOf({ waitUntil, forgettable }: Question<unknown>, begin: number, timeoutMs: number): number {
  const most = forgettable === true ? begin + LONGEST_REPEAT_MS : Infinity;
  return Math.min(most, waitUntil === undefined ? begin + timeoutMs : waitUntil + GRACE_MS);
}

/** The error names the time of the whole call, since the last try may have lasted a moment only. For a wait, it names the actor that continues. */
function ofWholeCall(cause: unknown, { subject, waitFor, forgettable }: Question<unknown>, askedMs: number): unknown {
  if (!isErgonError(cause)) return cause;
  const silent = cause.code === "REQUEST_TIMEOUT";
  if (!silent && waitFor === undefined) return cause;
  const message = silent ? `no answer on ${subject} within ${formatDuration(askedMs)}` : cause.message;
  if (waitFor === undefined) return new UnavailableError("REQUEST_TIMEOUT", message, { cause });
  const unknown = forgettable === true ? "took the event" : "has ended";
  const advice =
    forgettable === true ? "send it again under the same event id" : "it continues, and you can wait for it again";
  return new UnavailableError(
    cause.code as ErrorCode,
    `${message}; whether ${waitFor} ${unknown} is not known: ${advice}`,
    { cause },
  );
}

function waitMs(until: number | undefined, now: number): number {
  return until === undefined ? 0 : Math.floor(Math.min(ROUND_MS, Math.max(0, until - now)));
}

/** The server drops a connection that sends more than it takes, so a message that is too large is never sent. */
function requireFitting(data: Uint8Array | undefined, headers: Headers | undefined, most: number): void {
  let bytes = data?.length ?? 0;
  if (headers !== undefined) {
    bytes += "NATS/1.0\r\n\r\n".length;
    for (const name in headers) bytes += name.length + Buffer.byteLength(headers[name] ?? "") + ": \r\n".length;
  }
  if (bytes <= most) return;
  const advice = "store what is large elsewhere and send a reference, or split the batch";
  throw new InvalidError(
    "PAYLOAD_TOO_LARGE",
    `the message has ${bytes} bytes, and the server allows ${most}: ${advice}`,
  );
}
