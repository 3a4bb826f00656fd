import { backoffMs } from "../base/backoff.ts";
import type { Clock, TimerHandle } from "../base/clock.ts";
import { formatDuration } from "../base/duration.ts";
import { InvalidError, UnavailableError, isErgonError, type ErrorCode } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { eventMemory } from "../machines/seen-events.ts";
import type { Bus, Headers, Message } from "../ports/bus.ts";
import { H } from "../wire/headers.ts";
import { followConnection } from "./follow-connection.ts";
import type { Moves } from "./moves.ts";

/** Longest wait that one request asks a node for. */
const ROUND_MS = 10_000;
/** How much later than the wait it asked for an answer may come. */
const GRACE_MS = 3_000;
/**
 * How long a try of a request waits for its answer. A node that stands still keeps getting its share of the requests until its session ends: the
 * next try may reach another. After three tries that heard nothing for their whole length, each further one lasts twice as long as the one before,
 * for an answer that takes its time. A try that failed at once says nothing about how long an answer takes, and what was silent before a
 * reconnect says nothing about what comes after it.
 */
const TRY_MS = 1_000;
const SHORT_TRIES = 3;
/**
 * A try that has heard nothing for so long asks once more beside its question, which may have gone to a node that stands still: with one of
 * three nodes stopped, the median of submits measures 300 ms instead of 1,070. Of all tries no more than so many in a second do: when everything
 * is slow, asking twice makes it slower (of 20,000 submits at once, 81,000 more questions and twice the time).
 */
const BESIDE_MS = 300;
const MOST_BESIDE = 100;
const SECOND_MS = 1_000;
/** A call that finds no node for so long says so. */
const ALONE_MS = 1_000;
/** A question that a node remembers for a limited time is repeated for no longer: the last repetition has a minute to arrive. */
const LONGEST_REPEAT_MS = eventMemory.ms - 60_000;
/** A request that is not there to wait is repeated after a change of owner only when it is older than this. */
const OVERDUE_MS = 250;

const pauses = { initialMs: 50, factor: 2, maxMs: 2_000, jitter: 0.5 };

/** A question that may be asked any number of times: what it does is done once. */
export interface Question<T> {
  readonly subject: string;
  readonly data?: Uint8Array | undefined;
  readonly headers?: Headers | undefined;
  /** Asks the node to hold the answer back until the task has ended, or until this moment of the monotonic clock. */
  readonly waitUntil?: number | undefined;
  /** Of a wait: the id of what goes on when the wait is given up. */
  readonly waitFor?: string | undefined;
  /**
   * Of a wait: a node remembers the question, an event's id, for a limited time only, so it is not repeated through an outage of any length.
   * @defaultValue false
   */
  readonly forgettable?: boolean | undefined;
  /** Only a change of this shard's owner makes the question be asked again at once; `undefined`: of any. */
  readonly shard?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** How long the first tries wait, where an answer takes its time. */
  readonly tryMs?: number | undefined;
  /** When a try asks once more beside its question, where an answer takes its time or much work; not less than a try: never. */
  readonly besideMs?: number | undefined;
  /** Reads the answer in the turn in which it comes; throws the error that it carries. */
  read(message: Message): T;
}

export interface Caller {
  readonly clock: Clock;
  /** The longest that a call goes on without an answer. */
  readonly timeoutMs: number;
  /**
   * Asks until there is an answer: again after errors of kind `unavailable`, and at once when the task's shard has a new owner or the connection
   * is back. Throws the last such error once `timeoutMs` have passed, any other at once. A wait goes on through any outage until its `waitUntil`;
   * only where no node has ever answered this client, `timeoutMs` bounds it too. A `REQUEST_TIMEOUT` names all of that time.
   */
  ask<T>(question: Question<T>): Promise<T>;
  /** Waits before the next try; shorter when an owner changes or the connection is back. */
  pause(failures: number, error: unknown, shard: number | undefined): Promise<void>;
  /** Whether no node has ever answered this client, on a connection that was never lost: it may be in a wrong namespace. */
  readonly lonely: boolean;
  /** A node has answered by another way than {@link Caller.ask}. */
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
  /** Hears, once a call, that no node has served it for a second; it goes on. */
  readonly onNoNode?: (() => void) | undefined;
  /** Hears that there has been no connection for a second, and then that there is one again. */
  readonly onNatsAway?: ((away: boolean) => void) | undefined;
}

/** What the tries of one call share. */
interface Call<T> {
  /** Ends the try that is under way. */
  settle: ((outcome: Outcome<T>) => void) | undefined;
  /** The answer to a former try that came between two tries. */
  late: Outcome<T> | undefined;
}

type Outcome<T> =
  | { readonly kind: "answer"; readonly value: T }
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "moved" };

export function createCaller(parts: CallerParts): Caller {
  const { bus, clock, random, moves, timeoutMs, onNoNode } = parts;
  const connection = followConnection(bus, clock, parts.onNatsAway);
  let closed = false;
  let served = false;
  const isLonely = (): boolean => !served && !connection.wasLost;
  let secondBegan = 0;
  let askedBeside = 0;

  const mayAskBeside = (): boolean => {
    const now = clock.monotonic();
    if (now - secondBegan >= SECOND_MS) {
      secondBegan = now;
      askedBeside = 0;
    }
    askedBeside += 1;
    return askedBeside <= MOST_BESIDE;
  };

  const requireOpen = (): void => {
    if (closed) throw new UnavailableError("NATS_UNREACHABLE", "this client is closed");
    if (connection.closed) throw new UnavailableError("NATS_UNREACHABLE", "the connection to NATS is closed");
  };

  const once = <T>(
    question: Question<T>,
    call: Call<T>,
    tryMs: number,
    headers: Headers | undefined,
    leftMs: number,
  ): Promise<Outcome<T>> =>
    new Promise((resolve) => {
      const { shard, signal, waitUntil, data, subject } = question;
      const sentAt = clock.monotonic();
      let over = false;
      const aborted = (): void => settle({ kind: "failed", error: signal?.reason });
      const forget = moves.listen(shard, () => {
        if (closed || waitUntil !== undefined || clock.monotonic() - sentAt >= OVERDUE_MS) settle({ kind: "moved" });
      });
      const settle = (outcome: Outcome<T>): void => {
        over = true;
        call.settle = undefined;
        forget();
        clock.cancel(timer);
        signal?.removeEventListener("abort", aborted);
        resolve(outcome);
      };
      call.settle = settle;
      signal?.addEventListener("abort", aborted);
      let open = 0;
      const send = (): void => {
        open += 1;
        // The answer of a slow node counts after the end of the try, too: what is asked again then would have to wait again.
        bus.request(subject, data ?? new Uint8Array(), { headers, timeoutMs: Math.max(tryMs, leftMs) }).then(
          (message) => {
            served = true;
            const outcome = attempt(() => question.read(message));
            if (!over) settle(outcome);
            else if (outcome.kind !== "failed" || !isUnavailable(outcome.error)) takeLate(call, outcome);
          },
          (error: unknown) => {
            open -= 1;
            if (open === 0 && !over) settle({ kind: "failed", error });
          },
        );
      };
      const { besideMs = BESIDE_MS } = question;
      const end = (): void => {
        const error = new UnavailableError("REQUEST_TIMEOUT", `no answer on ${subject} within ${tryMs} ms`);
        settle({ kind: "failed", error });
      };
      // One timer at a time: most answers come before the first is due.
      let timer: TimerHandle =
        besideMs < tryMs
          ? clock.after(besideMs, () => {
              timer = clock.after(tryMs - besideMs, end);
              if (!closed && mayAskBeside()) send();
            })
          : clock.after(tryMs, end);
      send();
    });

  const pause: Caller["pause"] = (failures, error, shard) =>
    new Promise((resolve) => {
      const least = isErgonError(error) ? (error.retryAfterMs ?? 0) : 0;
      const done = (): void => {
        forget();
        clock.cancel(timer);
        resolve();
      };
      const timer = clock.after(Math.max(least, backoffMs(pauses, failures, random())), done);
      const forget = moves.listen(shard, done);
    });

  const ask = async <T>(question: Question<T>): Promise<T> => {
    const { waitUntil, signal } = question;
    const begin = clock.monotonic();
    const deadline = deadlineOf(question, begin, timeoutMs);
    const call: Call<T> = { settle: undefined, late: undefined };
    let told = false;
    let noNodeSince: number | undefined;
    let lastError: unknown;
    let failures = 0;
    let silences = 0;
    let { connections } = moves;
    for (;;) {
      requireOpen();
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
        call.late ?? (await once(question, call, Math.min(Math.ceil(patience), leftMs), headers, lastingMs));
      if (outcome.kind === "answer") return outcome.value;
      if (outcome.kind === "moved") continue;
      const { error } = outcome;
      if (!isUnavailable(error)) throw error;
      const noNode = isErgonError(error) && error.code === "NO_NODE";
      const askedMs = clock.monotonic() - begin;
      const givesUp = waitUntil === Infinity && isLonely() && askedMs >= timeoutMs;
      // The silence of a try that the end of the call has cut short says less than the try before it.
      const wasCut = deadline - now < patience && isErgonError(error) && error.code === "REQUEST_TIMEOUT";
      if (givesUp || begin + askedMs >= deadline)
        throw ofWholeCall(wasCut ? (lastError ?? error) : error, question, askedMs);
      lastError = error;
      failures += 1;
      if (clock.monotonic() - now >= tryMs) silences += 1;
      noNodeSince = noNode ? (noNodeSince ?? now) : undefined;
      if (!told && noNodeSince !== undefined && clock.monotonic() - noNodeSince >= ALONE_MS) {
        told = true;
        onNoNode?.();
      }
      await pause(failures, error, question.shard);
      if (moves.connections === connections) continue;
      ({ connections } = moves);
      failures = 0;
      silences = 0;
    }
  };

  return {
    clock,
    timeoutMs,
    ask,
    pause,
    requireOpen,
    get lonely() {
      return isLonely();
    },
    noteServed: () => {
      served = true;
    },
    close: () => {
      closed = true;
      connection.forget();
    },
  };
}

/** When a question is given up. */
function deadlineOf({ waitUntil, forgettable }: Question<unknown>, begin: number, timeoutMs: number): number {
  const most = forgettable === true ? begin + LONGEST_REPEAT_MS : Infinity;
  return Math.min(most, waitUntil === undefined ? begin + timeoutMs : waitUntil + GRACE_MS);
}

/** The last try may have had a moment left; what was waited for is the whole call. Of a wait it is said what goes on. */
function ofWholeCall(cause: unknown, { subject, waitFor, forgettable }: Question<unknown>, askedMs: number): unknown {
  if (!isErgonError(cause)) return cause;
  const silent = cause.code === "REQUEST_TIMEOUT";
  if (!silent && waitFor === undefined) return cause;
  const message = silent ? `no answer on ${subject} within ${formatDuration(askedMs)}` : cause.message;
  if (waitFor === undefined) return new UnavailableError("REQUEST_TIMEOUT", message, { cause });
  const unknown = forgettable === true ? "took the event" : "has ended";
  const advice = forgettable === true ? "send it again under the same event id" : "it goes on, wait for it again";
  return new UnavailableError(
    cause.code as ErrorCode,
    `${message}; whether ${waitFor} ${unknown} is not known: ${advice}`,
    { cause },
  );
}

/** Whether the same request may succeed later. */
export function isUnavailable(error: unknown): boolean {
  return isErgonError(error) && error.kind === "unavailable";
}

function takeLate<T>(call: Call<T>, outcome: Outcome<T>): void {
  if (call.settle === undefined) call.late ??= outcome;
  else call.settle(outcome);
}

function attempt<T>(read: () => T): Outcome<T> {
  try {
    return { kind: "answer", value: read() };
  } catch (error) {
    return { kind: "failed", error };
  }
}

function waitMs(until: number | undefined, now: number): number {
  return until === undefined ? 0 : Math.floor(Math.min(ROUND_MS, Math.max(0, until - now)));
}

/** The server drops a connection that sends more than it takes, so what is too large never leaves. */
function requireFitting(data: Uint8Array | undefined, headers: Headers | undefined, most: number): void {
  let bytes = data?.length ?? 0;
  if (headers !== undefined) {
    bytes += "NATS/1.0\r\n\r\n".length;
    for (const name in headers) bytes += name.length + Buffer.byteLength(headers[name] ?? "") + ": \r\n".length;
  }
  if (bytes <= most) return;
  const advice = "store what is large elsewhere and send a reference, or split the batch";
  throw new InvalidError("PAYLOAD_TOO_LARGE", `the message has ${bytes} bytes and the server takes ${most}: ${advice}`);
}
