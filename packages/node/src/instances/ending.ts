import { type Failure } from "@ergon/core";
import { decodeContent, failureOf, statusOf, toPlain, type Ending, type TaskContext } from "@ergon/core/engine";

import { NO_BYTES } from "../node-context.ts";

/** Describes the end of a task for the machine that invoked it. */
export function endingOf(task: TaskContext): Ending {
  const status = statusOf(task);
  if (status === "succeeded")
    return { kind: "done", output: decodeContent(task.response ?? NO_BYTES, task.responseType) };
  const otherwise: Failure = { code: "TASK_CANCELLED", message: task.reason ?? "cancelled", retryable: false };
  if (status === "failed") return { kind: "error", error: task.failure ?? otherwise };
  const { response, responseType } = task;
  if (response === undefined) return { kind: "error", error: otherwise };
  return { kind: "error", error: { ...otherwise, done: true, output: decodeContent(response, responseType) } };
}

/** Describes the end of a task in the form in which one durable actor tells it to another. A response without such a form becomes an error. */
export function plainEndingOf(task: TaskContext): Ending {
  const ending = endingOf(task);
  try {
    return toPlain(ending, "response") as Ending;
  } catch (error) {
    return { kind: "error", error: failureOf(error) };
  }
}
