import {
  all,
  bytes,
  byKey,
  count,
  fields,
  flag,
  line,
  list,
  map,
  name,
  numberFrom,
  oneOf,
  optional,
  taskId,
  text,
  time,
  tuple,
  id,
  type Shape,
} from "../base/shape.ts";
import type { RetryPolicy } from "./retry-policy.ts";
import { taskLimits, type TaskOptions, type TaskSpec } from "./spec.ts";
import type { Decision, Failure, TaskContext } from "./task-context.ts";

// This is the shape of a stored task. docs/protocol.md, "The record", describes it in words.

const duration = optional(numberFrom(0, taskLimits.maxDurationMs));

const options: Shape = fields<TaskOptions>({
  // Priorities are indexes of a queue.
  priority: optional(numberFrom(0, 9, true)),
  queueTimeoutMs: duration,
  attemptTimeoutMs: duration,
  heartbeatTimeoutMs: duration,
  totalTimeoutMs: duration,
  cancelGraceMs: duration,
  maxLost: optional(count),
  retentionMs: duration,
  retry: optional(
    fields<RetryPolicy>({
      maxAttempts: optional(count),
      initialMs: duration,
      factor: optional(numberFrom(1, 100)),
      maxMs: duration,
      jitter: optional(numberFrom(0, 1)),
      never: optional(list(text)),
    }),
  ),
});

const specFields: { readonly [K in Exclude<keyof Required<TaskSpec>, "id">]: Shape } = {
  driver: name,
  payload: bytes,
  contentType: optional(line),
  correlationId: optional(line),
  resource: optional(line),
  arguments: optional(byKey(text)),
  tags: optional(list(text)),
  notBefore: optional(time),
  origin: optional(id),
  parent: optional(fields<NonNullable<TaskSpec["parent"]>>({ id, key: count })),
  options: optional(options),
};

/** A requested task that has no id yet. */
export const taskSpecShape: Shape = fields<Omit<TaskSpec, "id">>(specFields);

export const failureShape: Shape = fields<Failure>({ code: line, message: text, retryable: flag });

const decision: Shape = fields<Decision>({ by: text, reason: text });

const contextShape: Shape = fields<TaskContext>({
  ...specFields,
  id: taskId,
  scheduledAt: time,
  readyAt: optional(time),
  startedAt: optional(time),
  endedAt: optional(time),
  updatedAt: time,
  attempt: count,
  attemptAt: optional(time),
  failures: count,
  lost: count,
  returns: optional(count),
  agent: optional(name),
  deadline: optional(time),
  backoff: optional(numberFrom(0, Number.MAX_SAFE_INTEGER)),
  reason: optional(text),
  failure: optional(failureShape),
  response: optional(bytes),
  responseType: optional(line),
  cancel: optional(decision),
  batch: optional(text),
  told: optional(oneOf(true)),
  // A status becomes part of a subject. The check accepts a status of a newer version.
  history: list(tuple(time, name, count, optional(text), optional(text))),
});

interface TaskSnapshot {
  readonly status: unknown;
  readonly value: unknown;
  readonly context: unknown;
}

const active: Shape = fields<TaskSnapshot>({ status: oneOf("active"), value: map, context: contextShape });
const done: Shape = fields<TaskSnapshot>({ status: oneOf("done"), value: text, context: contextShape });

/** A task's snapshot. It is live, in one of the states within `live`, or ended. */
export const taskShape: Shape = all(map, (snapshot) => {
  const { value } = snapshot as TaskSnapshot;
  return typeof value === "string" ? done(snapshot) : active(snapshot);
});
