import { backoffMs, type Backoff } from "../base/backoff.ts";
import { retryOption, retryPolicyOf, taskLimits, taskOption } from "./spec.ts";
import type { TaskStatus } from "./status.ts";
import type { Decision, Failure, HistoryEntry, TaskContext, TaskEvent, TaskInput } from "./task-context.ts";

/** The changes of a task's fields by events. */
export type Change = Partial<TaskContext>;
export interface Happening {
  readonly context: TaskContext;
  readonly event: TaskEvent;
}

/** The longest reason in a line of the history. The limit keeps the longest history small enough for its record. */
const HISTORY_REASON = 120;

/** An event with its time and chance. XState makes the events of timers, but the engine adds both to them too. The first event has the input. */
export function at(event: TaskEvent): number {
  return event.at ?? inputOf(event).at;
}

export function inputOf(event: TaskEvent): TaskInput {
  return (event as unknown as { readonly input: TaskInput }).input;
}

/** Makes a change to `status`, which adds a line to the history. */
export function recorded({ context, event }: Happening, status: TaskStatus, change: Change): Change {
  return {
    ...change,
    updatedAt: at(event),
    history: [...trimmed(context.history), lineOf(context, event, status, change)],
  };
}

function lineOf(context: TaskContext, event: TaskEvent, status: TaskStatus, change: Change): HistoryEntry {
  const attempt = change.attempt ?? context.attempt;
  const agent = change.agent ?? context.agent;
  if (change.reason !== undefined) return [at(event), status, attempt, agent ?? "", shortened(change.reason)];
  return agent === undefined ? [at(event), status, attempt] : [at(event), status, attempt, agent];
}

/** A full history keeps its first and last lines and loses one from the middle. */
function trimmed(history: readonly HistoryEntry[]): readonly HistoryEntry[] {
  return history.length < taskLimits.historyEntries ? history : [...history.slice(0, 4), ...history.slice(5)];
}

/** A line of the history is short. The whole reason stands beside the history while the line is the last. */
function shortened(reason: string): string {
  return reason.length <= HISTORY_REASON ? reason : `${reason.slice(0, HISTORY_REASON - 1)}…`;
}

/** Returns true if the event belongs to the current attempt, or to no attempt. */
export function isCurrent({ context, event }: Happening): boolean {
  return !("attempt" in event) || event.attempt === undefined || event.attempt === context.attempt;
}

/** Returns true unless an answer is late. A late answer has no effect even if the timer is late too (B-64), unless no node was there to take it earlier. */
export function inTime(happening: Happening): boolean {
  const { context, event } = happening;
  if (!isCurrent(happening)) return false;
  const { deadline = Infinity, attemptAt = 0 } = context;
  const { gap } = event;
  return at(event) < deadline || (gap !== undefined && attemptAt < gap.end && at(event) < gap.answersUntil);
}

/** Returns true if the task's total time is over. The task then waits only for the answer of its last attempt, and no other begins. */
export function isOutlived({ context, event }: Happening): boolean {
  return at(event) >= endOfLife(context);
}

/** Returns the time at which the total timeout ends a task, in epoch milliseconds. */
export function endOfLife(context: TaskContext): number {
  return Math.max(context.scheduledAt, context.notBefore ?? 0) + taskOption(context, "totalTimeoutMs");
}

/** Returns true if the retry policy allows another attempt after this failure. */
export function retryable(happening: Happening): boolean {
  const { context, event } = happening;
  const { code, retryable: may } = failureOf(event, context);
  if (isOutlived(happening)) return false;
  return (
    may && context.failures + 1 < retryOption(context, "maxAttempts") && !retryOption(context, "never").includes(code)
  );
}

function failureOf(event: TaskEvent, context: TaskContext): Failure {
  switch (event.type) {
    case "failed":
      return event.failure;
    case "silent":
      return {
        code: "HEARTBEAT_TIMEOUT",
        message: `attempt ${context.attempt} sent no heartbeat for ${taskOption(context, "heartbeatTimeoutMs")} ms`,
        retryable: true,
      };
    default:
      return {
        code: "ATTEMPT_TIMEOUT",
        message: `attempt ${context.attempt} ran longer than ${taskOption(context, "attemptTimeoutMs")} ms`,
        retryable: true,
      };
  }
}

export function started({ context, event }: Happening): Change {
  return {
    attempt: context.attempt + 1,
    attemptAt: at(event),
    startedAt: context.startedAt ?? at(event),
    agent: event.type === "start" ? event.agent : inputOf(event).agent,
    deadline: at(event) + taskOption(context, "attemptTimeoutMs"),
    reason: undefined,
  };
}

export function offered({ context, event }: Happening): Change {
  return {
    attempt: context.attempt + 1,
    attemptAt: at(event),
    agent: undefined,
    deadline: undefined,
  };
}

/** Nobody has the attempt, so it has not begun, and the next dispatch uses its number again. */
export function unserved({ context, event }: Happening): Change {
  const reason = event.type === "unserved" ? event.reason : undefined;
  return { reason: reason ?? `no agent serves driver ${context.driver}`, deadline: undefined, attemptAt: undefined };
}

/** An attempt that counted as taken has not begun either. The task waits for an agent again. */
export function untaken(happening: Happening): Change {
  const { context, event } = happening;
  const { startedAt, failures, lost: losses, returns = 0 } = context;
  const isFirst = failures + losses + returns === 0;
  return { ...unserved(happening), readyAt: at(event), startedAt: isFirst ? undefined : startedAt };
}

export function taken({ context, event }: Happening): Change {
  return {
    startedAt: firstStart(context, event),
    agent: event.type === "taken" ? event.agent : undefined,
    deadline: at(event) + taskOption(context, "attemptTimeoutMs"),
    reason: undefined,
  };
}

export function succeeded({ context, event }: Happening): Change {
  if (event.type !== "succeeded") return {};
  return {
    endedAt: at(event),
    startedAt: firstStart(context, event),
    response: event.response,
    responseType: event.contentType,
    reason: undefined,
    ...(event.agent === undefined ? {} : { agent: event.agent }),
  };
}

export function backOff({ context, event }: Happening): Change {
  const failure = failureOf(event, context);
  const pause = backoffMs(retryPolicyOf(context), context.failures + 1, event.chance);
  const least = event.type === "failed" ? (event.retryAfterMs ?? 0) : 0;
  return {
    startedAt: firstStart(context, event),
    failures: context.failures + 1,
    failure,
    backoff: Math.max(pause, least),
    deadline: undefined,
    reason: `${failure.code}: ${failure.message}`,
  };
}

/** Returns the task to the queue, and clears the fields of its running attempt. */
export function requeued(event: TaskEvent, reason?: string): Change {
  return { readyAt: at(event), agent: undefined, deadline: undefined, reason };
}

/** Dispatches the first returns at once. An agent that returns every task is asked after growing pauses, independently of the retry policy. */
const PROMPT_RETURNS = 3;
const RETURN_PAUSE: Backoff = { initialMs: 250, factor: 2, maxMs: 30_000, jitter: 0.5 };

export function mayFollowAtOnce({ context }: Happening): boolean {
  return (context.returns ?? 0) < PROMPT_RETURNS;
}

export function returned({ context, event }: Happening): Change {
  const returns = (context.returns ?? 0) + 1;
  const pause = backoffMs(RETURN_PAUSE, Math.max(1, returns - PROMPT_RETURNS), event.chance);
  return { ...requeued(event, event.type === "returned" ? event.reason : undefined), returns, backoff: pause };
}

export function lost({ context, event }: Happening): Change {
  return { ...requeued(event, event.type === "lost" ? event.reason : undefined), lost: context.lost + 1 };
}

export function failed({ context, event }: Happening): Change {
  const failure = failureOf(event, context);
  return {
    startedAt: firstStart(context, event),
    failures: context.failures + 1,
    failure,
    endedAt: at(event),
    reason: `${failure.code}: ${failure.message}`,
  };
}

export function lostForGood({ context, event }: Happening): Change {
  const reason = event.type === "lost" ? event.reason : "";
  const message = `${context.lost + 1} attempts were lost with their agents; the last: ${reason}`;
  return { lost: context.lost + 1, ...finalFailure("AGENTS_LOST", message, event) };
}

export function queueTimeout({ context, event }: Happening): Change {
  const cause = event.cause ?? context.reason ?? `no agent of driver ${context.driver} had a free slot`;
  const message = `waited ${taskOption(context, "queueTimeoutMs")} ms for an agent: ${cause}`;
  return finalFailure("QUEUE_TIMEOUT", message, event);
}

export function totalTimeout({ context, event }: Happening): Change {
  return finalFailure("TOTAL_TIMEOUT", `did not end within ${taskOption(context, "totalTimeoutMs")} ms`, event);
}

export function cancelling({ event }: Happening): Change {
  return {
    ...(event.type === "cancel" ? { cancel: { by: event.by, reason: event.reason } } : {}),
    reason: "cancelling",
  };
}

export function cancelled({ context, event }: Happening): Change {
  const decision =
    event.type === "cancel" || event.type === "end"
      ? { by: event.by, reason: event.reason }
      : (context.cancel ?? { by: "", reason: "" });
  return { cancel: decision, endedAt: at(event), reason: `cancelled by ${inWords(decision)}` };
}

/** Keeps the response of work that was finished before the cancel reached it, so that a plan can undo that work. */
export function cancelledThoughDone(happening: Happening): Change {
  const { event } = happening;
  if (event.type !== "succeeded") return cancelled(happening);
  return { ...cancelled(happening), response: event.response, responseType: event.contentType };
}

export function ended({ event }: Happening): Change {
  const decision = event.type === "end" ? event : { by: "", reason: "" };
  return finalFailure("ENDED_BY_FORCE", `ended by ${inWords(decision)}`, event);
}

/** Marks the start of the first attempt. An answer may be the first sign of it. */
function firstStart(context: TaskContext, event: TaskEvent): number {
  return context.startedAt ?? context.attemptAt ?? at(event);
}

function finalFailure(code: string, message: string, event: TaskEvent): Change {
  return { failure: { code, message, retryable: false }, endedAt: at(event), reason: message };
}

function inWords({ by, reason }: Decision): string {
  return reason === "" ? by : `${by}: ${reason}`;
}
