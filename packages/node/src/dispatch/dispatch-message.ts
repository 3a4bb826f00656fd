import { type Headers } from "@ergon/core";
import { H, taskOption, type TaskContext } from "@ergon/core/engine";

/** Makes the headers of a dispatch (docs/protocol.md, "Dispatch"). The remaining time travels as a duration, because clocks differ. */
export function dispatchHeaders(
  task: TaskContext,
  attempt: number,
  { now, node, isAgain }: { readonly now: number; readonly node: string; readonly isAgain: boolean },
): Headers {
  // The time of an attempt that no known agent has begins when an agent takes it.
  const deadline = task.deadline ?? now + taskOption(task, "attemptTimeoutMs");
  const headers: Record<string, string> = {
    [H.task]: task.id,
    [H.attempt]: String(attempt),
    [H.driver]: task.driver,
    [H.timeoutMs]: String(Math.max(0, deadline - now)),
    [H.deadline]: String(deadline),
    [H.node]: node,
  };
  if (isAgain) headers[H.again] = "true";
  if (task.contentType !== undefined) headers[H.contentType] = task.contentType;
  if (task.correlationId !== undefined) headers[H.correlationId] = task.correlationId;
  if (task.resource !== undefined) headers[H.resource] = task.resource;
  if (task.arguments !== undefined) headers[H.arguments] = JSON.stringify(task.arguments);
  const heartbeatMs = taskOption(task, "heartbeatTimeoutMs");
  if (heartbeatMs > 0) headers[H.heartbeatMs] = String(heartbeatMs);
  return headers;
}
