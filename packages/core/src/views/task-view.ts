import { isoTime } from "../base/clock.ts";
import type { TaskStatus } from "../task/status.ts";
import type { Decision, Failure, TaskContext } from "../task/task-context.ts";
import { describeContent, type Content } from "../wire/codec.ts";

/** A task as readers see it, over JSON and in the SDK. Times are ISO 8601 in UTC, durations milliseconds. */
export interface TaskView {
  readonly id: string;
  readonly machine: "task";
  /** One of the task statuses; a newer node may send one that this version does not know, which counts as live. */
  readonly status: TaskStatus;
  readonly driver: string;
  readonly correlationId?: string;
  readonly resource?: string;
  readonly arguments?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  readonly priority?: number;
  readonly contentType?: string;
  readonly payloadBytes: number;
  readonly scheduledAt: string;
  readonly notBefore?: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** From the first attempt's start to the end. */
  readonly durationMs?: number;
  readonly deadline?: string;
  readonly attempt: number;
  readonly failures: number;
  readonly lost: number;
  readonly agent?: string;
  /** Why a waiting task waits, or how an ended one ended. */
  readonly reason?: string;
  readonly failure?: Failure;
  readonly cancelled?: Decision;
  readonly response?: Content;
  /** The last report of the agent about a running attempt. It is not stored, and is lost when the shard moves. */
  readonly progress?: unknown;
  /** The task that this one repeats. */
  readonly origin?: string;
  readonly history: readonly HistoryView[];
}

/** A task as lists show it: without what may be large, the response's size in its place. */
export interface TaskSummary extends Omit<TaskView, "arguments" | "response" | "progress" | "history"> {
  readonly responseBytes?: number;
}

export interface HistoryView {
  readonly at: string;
  readonly status: string;
  readonly attempt: number;
  readonly agent?: string;
  readonly reason?: string;
}

/** The status of a task: that of its last transition. */
export function statusOf(context: TaskContext): TaskStatus {
  return context.history.at(-1)?.[1] ?? "scheduled";
}

/** Describes a task for readers. */
export function describeTask(task: TaskContext, progress?: unknown): TaskView {
  return {
    ...describeFacts(task),
    ...defined({
      arguments: task.arguments,
      response: task.response === undefined ? undefined : describeContent(task.response, task.responseType),
      progress,
    }),
    history: task.history.map(([at, entryStatus, attempt, agent, reason]) => ({
      at: isoTime(at),
      status: entryStatus,
      attempt,
      ...(agent === undefined || agent === "" ? {} : { agent }),
      ...(reason === undefined ? {} : { reason }),
    })),
  };
}

/** Describes a task for a list. */
export function summarizeTask(task: TaskContext): TaskSummary {
  return { ...describeFacts(task), ...defined({ responseBytes: task.response?.length }) };
}

function describeFacts(task: TaskContext): Omit<TaskSummary, "responseBytes"> {
  const status = statusOf(task);
  return {
    id: task.id,
    machine: "task",
    status,
    driver: task.driver,
    ...defined({
      correlationId: task.correlationId,
      resource: task.resource,
      tags: task.tags,
      priority: task.options?.priority,
      contentType: task.contentType,
    }),
    payloadBytes: task.payload.length,
    scheduledAt: isoTime(task.scheduledAt),
    ...defined({
      notBefore: optionalTime(task.notBefore),
      startedAt: optionalTime(task.startedAt),
      endedAt: optionalTime(task.endedAt),
      durationMs:
        task.endedAt !== undefined && task.startedAt !== undefined ? task.endedAt - task.startedAt : undefined,
      deadline: status === "started" ? optionalTime(task.deadline) : undefined,
    }),
    attempt: task.attempt,
    failures: task.failures,
    lost: task.lost,
    ...defined({
      agent: task.agent,
      reason: task.reason,
      failure: task.failure,
      cancelled: task.cancel,
      origin: task.origin,
    }),
  };
}

function optionalTime(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : isoTime(ms);
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function defined<T extends object>(fields: T): Defined<T> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) result[name] = value;
  return result as Defined<T>;
}
