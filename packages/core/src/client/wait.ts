import { UnavailableError } from "../base/errors.ts";
import type { TaskView } from "../views/task-view.ts";
import { H } from "../wire/headers.ts";
import type { Names } from "../wire/subjects.ts";
import type { Caller } from "./caller.ts";
import type { Question } from "./question.ts";
import type { ResponseReply, TaskReply, TaskResponse } from "./task-reply.ts";
import { readResponse, readTask } from "./task-reply.ts";

export interface WaitOptions {
  /**
   * The longest wait in milliseconds, including outages of NATS and of nodes. A wait that ends in an outage throws an error, which says that the task
   * continues. @defaultValue the life of the task (its `totalTimeout`, by default 7 days); if no node has ever answered, the client's `timeoutMs`
   */
  readonly timeoutMs?: number | undefined;
  /** Gives up the wait, not the task. */
  readonly signal?: AbortSignal | undefined;
}

/** The first request of {@link untilResponse}, if it is not a wait. */
export type FirstQuestion = Pick<Question<ResponseReply>, "subject" | "data" | "headers">;

/** Sends wait requests until the task has ended. After `timeoutMs`, it returns the task as it is then. No outage ends it earlier. */
export async function untilEnded(
  caller: Caller,
  names: Names,
  id: string,
  options: WaitOptions = {},
): Promise<TaskView> {
  const waitUntil = caller.clock.monotonic() + (options.timeoutMs ?? Infinity);
  const subject = names.verb("wait", id);
  let reply: TaskReply | undefined;
  do {
    reply = await caller.ask<TaskReply>({
      subject,
      waitUntil,
      waitFor: `task ${id}`,
      shard: reply?.shard,
      signal: options.signal,
      read: readTask,
    });
  } while (!reply.final && caller.clock.monotonic() < waitUntil);
  return reply.view;
}

/**
 * Sends wait requests until the task has succeeded. Throws the failure of a failed task, `TASK_CANCELLED` for a cancelled one, and
 * `REQUEST_TIMEOUT` if the task has not ended after `timeoutMs`.
 */
export async function untilResponse(
  caller: Caller,
  names: Names,
  id: string,
  options: WaitOptions = {},
  first?: FirstQuestion,
): Promise<TaskResponse> {
  const { timeoutMs = Infinity, signal } = options;
  const waitUntil = caller.clock.monotonic() + timeoutMs;
  const again: FirstQuestion = { subject: names.verb("wait", id), headers: { [H.answer]: "response" } };
  let question = first === undefined ? again : { ...first, headers: { ...first.headers, ...again.headers } };
  let shard: number | undefined;
  do {
    const waiting = { waitUntil, waitFor: `task ${id}`, shard, signal };
    const reply = await caller.ask<ResponseReply>({ ...question, ...waiting, read: readResponse });
    if (reply.kind === "response") return reply.response;
    shard = reply.shard;
    question = again;
  } while (caller.clock.monotonic() < waitUntil);
  throw new UnavailableError(
    "REQUEST_TIMEOUT",
    `task ${id} has not ended within ${timeoutMs} ms; it continues, and you can wait for it again`,
  );
}
