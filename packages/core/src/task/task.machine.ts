import { assign, setup } from "xstate";

import type { Machine } from "../actor/machine.ts";
import { backoffMs } from "../base/backoff.ts";
import { taskLimits, taskOption, retryOption, retryPolicyOf, type TaskSpec } from "./spec.ts";
import type { TaskStatus } from "./status.ts";

/** One line of a task's history: `[time, status, attempt, agent, reason]`. */
export type HistoryEntry = readonly [at: number, status: TaskStatus, attempt: number, agent?: string, reason?: string];

/** Why a task, or one of its attempts, failed. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  /** Whether another attempt might have succeeded. */
  readonly retryable: boolean;
}

/** Who decided over a task, and why. */
export interface Decision {
  readonly by: string;
  readonly reason: string;
}

/** A task's own fields: the machine's context, as the record holds it. Times are epoch milliseconds. */
export interface TaskContext extends TaskSpec {
  readonly scheduledAt: number;
  /** When the present wait for an agent began. */
  readonly readyAt?: number;
  /** When the first attempt began. */
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly updatedAt: number;
  /** Number of the current or last attempt; 0 before the first. Grows with every dispatch that may have been heard. */
  readonly attempt: number;
  readonly attemptAt?: number;
  /** Attempts that failed, and attempts that were lost with their agent. */
  readonly failures: number;
  readonly lost: number;
  readonly agent?: string | undefined;
  /** Latest end of the current attempt. */
  readonly deadline?: number | undefined;
  readonly backoff?: number;
  /** Why the task is where it is, in words. */
  readonly reason?: string | undefined;
  readonly failure?: Failure;
  readonly response?: Uint8Array;
  readonly responseType?: string | undefined;
  readonly cancel?: Decision;
  readonly batch?: string | undefined;
  readonly history: readonly HistoryEntry[];
}

/** Longest reason in a line of the history, so that the longest history fits its record. */
const HISTORY_REASON = 120;

interface At {
  readonly at: number;
  readonly chance: number;
}

/** Everything that can happen to a task. */
export type TaskEvent = At &
  (
    | { readonly type: "release" }
    /** An agent has been chosen: a new attempt begins. */
    | { readonly type: "start"; readonly agent: string }
    /** The attempt is given to whoever serves the driver's subject, if anyone does. */
    | { readonly type: "offer" }
    /** The server said that nobody serves the subject of the offer. */
    | { readonly type: "unserved" }
    /** The offer was not refused: somebody has it. */
    | { readonly type: "taken"; readonly attempt: number; readonly agent?: string | undefined }
    | {
        readonly type: "succeeded";
        readonly attempt: number;
        readonly response: Uint8Array;
        readonly contentType?: string | undefined;
        readonly agent?: string | undefined;
      }
    | {
        readonly type: "failed";
        readonly attempt: number;
        readonly failure: Failure;
        readonly retryAfterMs?: number | undefined;
        readonly agent?: string | undefined;
      }
    | { readonly type: "lost"; readonly attempt: number; readonly reason: string }
    /** The agent gave the attempt back unfinished (drain, no free slot). */
    | { readonly type: "returned"; readonly attempt: number; readonly reason: string }
    | { readonly type: "silent"; readonly attempt: number }
    | ({ readonly type: "cancel" } & Decision)
    | ({ readonly type: "end" } & Decision)
  );

export interface TaskInput extends At {
  readonly spec: TaskSpec;
  /** The batch whose admission is still to be decided; the task is held until then. */
  readonly batch?: string | undefined;
  /** An agent with a free slot: the first attempt begins with the task, in the same write. */
  readonly agent?: string | undefined;
}

/** Effects of the task machine. */
export interface DispatchParams {
  readonly attempt: number;
  /** `undefined`: whoever serves the driver's subject. */
  readonly agent: string | undefined;
}
export interface AbortParams {
  readonly attempt: number;
  readonly agent: string | undefined;
  readonly reason: "cancelled" | "timeout" | "ended" | "lost";
}

type Change = Partial<TaskContext>;
interface Args {
  readonly context: TaskContext;
  readonly event: TaskEvent;
}

/** The event of a timer is XState's own, but the engine gives it time and chance like any other. The first event has the input. */
function at(event: TaskEvent): number {
  return event.at ?? inputOf(event).at;
}

function inputOf(event: TaskEvent): TaskInput {
  return (event as unknown as { readonly input: TaskInput }).input;
}

function entry(
  context: TaskContext,
  event: TaskEvent,
  status: TaskStatus,
  change: Change,
  reason?: string,
): readonly HistoryEntry[] {
  const attempt = change.attempt ?? context.attempt;
  const agent = change.agent ?? context.agent;
  const line: HistoryEntry =
    reason !== undefined
      ? [at(event), status, attempt, agent ?? "", shortened(reason)]
      : agent !== undefined
        ? [at(event), status, attempt, agent]
        : [at(event), status, attempt];
  const { history } = context;
  if (history.length < taskLimits.historyEntries) return [...history, line];
  // The first lines tell how it began, the last how it stands: the middle goes.
  return [...history.slice(0, 4), ...history.slice(5), line];
}

/** A line of the history is short; the whole reason stands beside it as long as it is the last. */
function shortened(reason: string): string {
  return reason.length <= HISTORY_REASON ? reason : `${reason.slice(0, HISTORY_REASON - 1)}…`;
}

function moved(status: TaskStatus, describe: (args: Args) => Change = () => ({})) {
  return assign<TaskContext, TaskEvent, undefined, TaskEvent, never>(({ context, event }) => {
    const change = describe({ context, event });
    return { ...change, updatedAt: at(event), history: entry(context, event, status, change, change.reason) };
  });
}

/** A return to the queue: what a running attempt left behind goes. */
const requeued = (reason: string | undefined, event: TaskEvent): Change => ({
  readyAt: at(event),
  agent: undefined,
  deadline: undefined,
  reason,
});

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

function isCurrent({ context, event }: Args): boolean {
  return !("attempt" in event) || event.attempt === context.attempt;
}

/** An answer after the deadline counts for nothing, even when the timer is late (B-64). */
function inTime(args: Args): boolean {
  return isCurrent(args) && (args.context.deadline === undefined || at(args.event) < args.context.deadline);
}

function retryable({ context, event }: Args): boolean {
  const { code, retryable: may } = failureOf(event, context);
  return (
    may && context.failures + 1 < retryOption(context, "maxAttempts") && !retryOption(context, "never").includes(code)
  );
}

const startedChange = ({ context, event }: Args, agent: string | undefined): Change => ({
  attempt: context.attempt + 1,
  attemptAt: at(event),
  startedAt: context.startedAt ?? at(event),
  agent,
  deadline: at(event) + taskOption(context, "attemptTimeoutMs"),
  reason: undefined,
});

const machine = setup({
  types: {} as { context: TaskContext; events: TaskEvent; input: TaskInput },
  delays: {
    total: ({ context }) =>
      Math.max(0, (context.notBefore ?? 0) - context.updatedAt) + taskOption(context, "totalTimeoutMs"),
    due: ({ context }) => Math.max(0, (context.notBefore ?? 0) - context.updatedAt),
    queue: ({ context }) =>
      Math.max(0, (context.readyAt ?? context.updatedAt) + taskOption(context, "queueTimeoutMs") - context.updatedAt),
    attempt: ({ context }) => Math.max(0, (context.deadline ?? context.updatedAt) - context.updatedAt),
    grace: ({ context }) => taskOption(context, "cancelGraceMs"),
    backoff: ({ context }) => context.backoff ?? 0,
  },
  guards: {
    held: ({ context }) => context.batch !== undefined,
    early: ({ context }) => (context.notBefore ?? 0) > context.updatedAt,
    assigned: ({ event }) => inputOf(event)?.agent !== undefined,
    isCurrent,
    inTime,
    retryable: (args) => inTime(args) && retryable(args),
    timedOutRetryable: retryable,
    silentRetryable: (args) => isCurrent(args) && retryable(args),
    mayLose: ({ context, event }) => isCurrent({ context, event }) && context.lost < taskOption(context, "maxLost"),
  },
  actions: {
    dispatch: (_, _params: DispatchParams) => undefined,
    abort: (_, _params: AbortParams) => undefined,

    released: assign(({ event }) => ({ batch: undefined, updatedAt: at(event) })),
    due: assign(({ event }) => ({ readyAt: at(event), updatedAt: at(event) })),
    started: moved("started", (args) =>
      startedChange(args, args.event.type === "start" ? args.event.agent : inputOf(args.event).agent),
    ),
    offered: assign(({ context, event }) => ({
      attempt: context.attempt + 1,
      attemptAt: at(event),
      agent: undefined,
      deadline: at(event) + taskOption(context, "attemptTimeoutMs"),
      updatedAt: at(event),
    })),
    unserved: assign(({ context, event }) => ({
      reason: `no agent serves driver ${context.driver}`,
      deadline: undefined,
      updatedAt: at(event),
    })),
    taken: moved("started", ({ context, event }) => ({
      startedAt: context.startedAt ?? context.attemptAt ?? at(event),
      agent: event.type === "taken" ? event.agent : undefined,
      deadline: context.deadline ?? at(event) + taskOption(context, "attemptTimeoutMs"),
      reason: undefined,
    })),
    succeeded: moved("succeeded", ({ context, event }) =>
      event.type === "succeeded"
        ? {
            endedAt: at(event),
            startedAt: context.startedAt ?? context.attemptAt ?? at(event),
            response: event.response,
            responseType: event.contentType,
            reason: undefined,
            ...(event.agent === undefined ? {} : { agent: event.agent }),
          }
        : {},
    ),
    backOff: moved("retrying", ({ context, event }) => {
      const failure = failureOf(event, context);
      const pause = backoffMs(retryPolicyOf(context), context.failures + 1, event.chance);
      const least = event.type === "failed" ? (event.retryAfterMs ?? 0) : 0;
      const startedAt = context.startedAt ?? context.attemptAt ?? at(event);
      return {
        startedAt,
        failures: context.failures + 1,
        failure,
        backoff: Math.max(pause, least),
        deadline: undefined,
        reason: `${failure.code}: ${failure.message}`,
      };
    }),
    again: assign(({ event }) => ({ ...requeued(undefined, event), updatedAt: at(event) })),
    lost: moved("retrying", ({ context, event }) => ({
      ...requeued(event.type === "lost" ? event.reason : undefined, event),
      lost: context.lost + 1,
    })),
    returned: moved("retrying", ({ event }) => requeued(event.type === "returned" ? event.reason : undefined, event)),
    failed: moved("failed", ({ context, event }) => {
      const failure = failureOf(event, context);
      const startedAt = context.startedAt ?? context.attemptAt ?? at(event);
      return {
        startedAt,
        failures: context.failures + 1,
        failure,
        endedAt: at(event),
        reason: `${failure.code}: ${failure.message}`,
      };
    }),
    lostForGood: moved("failed", ({ context, event }) => {
      const reason = event.type === "lost" ? event.reason : "";
      const failure = {
        code: "AGENTS_LOST",
        message: `${context.lost + 1} attempts were lost with their agents; the last: ${reason}`,
        retryable: false,
      };
      return { lost: context.lost + 1, failure, endedAt: at(event), reason: failure.message };
    }),
    queueTimeout: moved("failed", ({ context, event }) => {
      const cause = context.reason ?? `no agent of driver ${context.driver} had a free slot`;
      const message = `waited ${taskOption(context, "queueTimeoutMs")} ms for an agent: ${cause}`;
      return { failure: { code: "QUEUE_TIMEOUT", message, retryable: false }, endedAt: at(event), reason: message };
    }),
    totalTimeout: moved("failed", ({ context, event }) => {
      const message = `did not end within ${taskOption(context, "totalTimeoutMs")} ms`;
      return { failure: { code: "TOTAL_TIMEOUT", message, retryable: false }, endedAt: at(event), reason: message };
    }),
    cancelling: assign(({ event }) => ({
      ...(event.type === "cancel" ? { cancel: { by: event.by, reason: event.reason } } : {}),
      reason: "cancelling",
      updatedAt: at(event),
    })),
    cancelled: moved("cancelled", ({ context, event }) => {
      const decision =
        event.type === "cancel" || event.type === "end"
          ? { by: event.by, reason: event.reason }
          : (context.cancel ?? { by: "", reason: "" });
      return {
        cancel: decision,
        endedAt: at(event),
        reason: `cancelled by ${decision.by}${decision.reason === "" ? "" : `: ${decision.reason}`}`,
      };
    }),
    ended: moved("failed", ({ event }) => {
      const decision = event.type === "end" ? event : { by: "", reason: "" };
      const message = `ended by ${decision.by}${decision.reason === "" ? "" : `: ${decision.reason}`}`;
      return { failure: { code: "ENDED_BY_FORCE", message, retryable: false }, endedAt: at(event), reason: message };
    }),
  },
}).createMachine({
  id: "task",
  context: ({ input: { spec, batch, at: now } }) => ({
    ...spec,
    ...(batch === undefined ? {} : { batch }),
    scheduledAt: now,
    readyAt: now,
    updatedAt: now,
    attempt: 0,
    failures: 0,
    lost: 0,
    history: [[now, "scheduled", 0]],
  }),
  initial: "live",
  states: {
    live: {
      after: { total: { target: "failed", actions: ["totalTimeout", abort("timeout")] } },
      on: {
        cancel: { target: "cancelled", actions: "cancelled" },
        end: { target: "failed", actions: ["ended", abort("ended")] },
      },
      initial: "admitted",
      states: {
        admitted: {
          always: [
            { guard: "held", target: "held" },
            { guard: "early", target: "delayed" },
            { guard: "assigned", target: "started", actions: ["started", dispatch()] },
            { target: "ready" },
          ],
        },
        /** Stored with its batch, which is not decided yet. */
        held: { on: { release: { target: "admitted", actions: "released" } } },
        delayed: { after: { due: { target: "ready", actions: "due" } } },
        /** Waits for a free slot of an agent. */
        ready: {
          after: { queue: { target: "#task.failed", actions: "queueTimeout" } },
          on: {
            start: { target: "started", actions: ["started", dispatch()] },
            offer: { target: "offered", actions: ["offered", dispatch()] },
            unserved: { target: "unserved", actions: "unserved" },
          },
        },
        /** Sent to the driver's subject; not heard of yet. */
        offered: {
          after: { attempt: attemptFails("timedOutRetryable") },
          on: {
            unserved: { target: "unserved", actions: "unserved" },
            taken: { guard: "isCurrent", target: "started", actions: "taken" },
            ...answers(),
          },
        },
        /** Nobody serves the driver. The number of an attempt that was offered stays good, since nobody heard of it. */
        unserved: {
          after: { queue: { target: "#task.failed", actions: "queueTimeout" } },
          on: {
            start: { target: "started", actions: ["started", dispatch()] },
            offer: { target: "offered", actions: ["offered", dispatch()] },
            taken: { guard: "isCurrent", target: "started", actions: "taken" },
            ...answers(),
          },
        },
        started: {
          after: { attempt: attemptFails("timedOutRetryable") },
          on: {
            ...answers(),
            lost: [
              { guard: "mayLose", target: "ready", actions: [abort("lost"), "lost"] },
              { guard: "isCurrent", target: "#task.failed", actions: [abort("lost"), "lostForGood"] },
            ],
            silent: [
              { guard: "silentRetryable", target: "backoff", actions: [abort("timeout"), "backOff"] },
              { guard: "isCurrent", target: "#task.failed", actions: [abort("timeout"), "failed"] },
            ],
            cancel: { target: "cancelling", actions: ["cancelling", abort("cancelled")] },
          },
        },
        backoff: { after: { backoff: { target: "ready", actions: "again" } } },
        /** The agent has been told; whatever it answers, and at the latest after the grace, the task is cancelled. */
        cancelling: {
          after: { grace: { target: "#task.cancelled", actions: "cancelled" } },
          on: {
            cancel: {},
            succeeded: { guard: "isCurrent", target: "#task.cancelled", actions: "cancelled" },
            failed: { guard: "isCurrent", target: "#task.cancelled", actions: "cancelled" },
            lost: { guard: "isCurrent", target: "#task.cancelled", actions: "cancelled" },
            returned: { guard: "isCurrent", target: "#task.cancelled", actions: "cancelled" },
          },
        },
      },
    },
    succeeded: { type: "final" },
    failed: { type: "final" },
    cancelled: { type: "final" },
  },
});

function dispatch() {
  return {
    type: "dispatch",
    params: ({ context }: { context: TaskContext }): DispatchParams => ({
      attempt: context.attempt,
      agent: context.agent,
    }),
  } as const;
}

function abort(reason: AbortParams["reason"]) {
  return {
    type: "abort",
    params: ({ context }: { context: TaskContext }): AbortParams => ({
      attempt: context.attempt,
      agent: context.agent,
      reason,
    }),
  } as const;
}

function attemptFails(guard: "timedOutRetryable") {
  return [
    { guard, target: "backoff", actions: [abort("timeout"), "backOff"] },
    { target: "#task.failed", actions: [abort("timeout"), "failed"] },
  ] as const;
}

function answers() {
  return {
    succeeded: { guard: "inTime", target: "#task.succeeded", actions: "succeeded" },
    failed: [
      { guard: "retryable", target: "backoff", actions: "backOff" },
      { guard: "inTime", target: "#task.failed", actions: "failed" },
    ],
    returned: { guard: "isCurrent", target: "ready", actions: "returned" },
  } as const;
}

/** The task machine: one unit of work, dispatched to an agent, retried, bounded and recovered (design section 1). */
export const taskMachine: Machine = { name: "task", version: "1", logic: machine };
