import { decodeContent, statusOf, type Ending, type Failure, type TaskContext } from "@ergon/core";

import { NO_BYTES } from "../node-context.ts";

/** How a task has ended, as the machine that invoked it is told. */
export function endingOf(task: TaskContext): Ending {
  const status = statusOf(task);
  if (status === "succeeded")
    return { kind: "done", output: decodeContent(task.response ?? NO_BYTES, task.responseType) };
  const otherwise: Failure = { code: "TASK_CANCELLED", message: task.reason ?? "cancelled", retryable: false };
  return { kind: "error", error: status === "failed" ? (task.failure ?? otherwise) : otherwise };
}
