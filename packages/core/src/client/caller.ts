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
/**
 * A try without an answer for this long sends a second request beside the first, which may have gone to a paused node: with one of
 * three nodes stopped, the median of submits is 300 ms instead of 1,070 ms. At most so many tries per second do this: when everything
 * is slow, second requests make it slower (20,000 submits at once caused 81,000 more requests, and took twice the time).
 */
const BESIDE_MS = 300;
const MOST_BESIDE = 100;
const SECOND_MS = 1_000;
/** A call that finds no node for this long reports it. */
const ALONE_MS = 1_000;
/** A node remembers such a request for a limited time, so the client repeats it for a minute less: the last repetition has that minute to arrive. */
const LONGEST_REPEAT_MS = eventMemory.ms - 60_000;
/** After a change of owner, a request that is not a wait is repeated only if it is older than this. */
const OVERDUE_MS = 250;

const pauses = { initialMs: 50, factor: 2, maxMs: 2_000, jitter: 0.5 };

/** A request that may be sent any number of times: its effect happens once. */
export interface Question<T> {
  readonly subject: string;
  readonly data?: Uint8Array | undefined;
  readonly headers?: Headers | undefined;
  /** The node holds the answer back until the task has ended, or until this moment of the monotonic clock. */
  readonly waitUntil?: number | undefined;
  /** For a wait: the id of the actor that continues when the wait is given up. */
  readonly waitFor?: string | undefined;
  /**
   * For a wait: a node remembers the event id of the request for a limited time only, so the client does not repeat it through an outage of any length.
   * @defaultValue false
   */
  readonly forgettable?: boolean | undefined;
  /** Only a change of this shard's owner repeats the request at once; `undefined`: a change of any shard. */
  readonly shard?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The length of the first tries, if the answer is slow. */
  readonly tryMs?: number | undefined;
  /** The time after which a try sends a second request, if the answer is slow or much work. A time as long as a try means never. */
  readonly besideMs?: number | undefined;
  /** Reads the answer in the turn in which it arrives; throws the error that it carries. */
  read(message: Message): T;
}

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
  /** Whether no node has ever answered this client, on a connection that was never lost: it may be in a wrong namespace. */
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

/** The state that the tries of one call share. */
interface Call<T> {
  /** Ends the running try. */
  settle: ((outcome: Outcome<T>) => void) | undefined;
  /** The answer to a former try, if it came between two tries. */
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
        // The answer of a slow node counts after the end of its try too: a repeated request would have to wait again.
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
      // If the end of the call has cut the last try short, its silence says less than the try before it.
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

/** The server drops a connection that sends more than it takes, so a message that is too large is never sent. */
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
