import { UnavailableError } from "../base/errors.ts";
import type { TaskView } from "../views/task-view.ts";
import { H } from "../wire/headers.ts";
import type { Names } from "../wire/subjects.ts";
import type { Caller, Question } from "./caller.ts";
import type { ResponseReply, TaskReply, TaskResponse } from "./task-reply.ts";
import { readResponse, readTask } from "./task-reply.ts";

export interface WaitOptions {
  /**
   * Longest wait in milliseconds, outages of NATS and of nodes included. A wait that it ends in an outage throws, and says that the task goes on.
   * @defaultValue as long as the task lives (its `totalTimeout`, 7 days unless told), or, where no node has ever answered, the client's `timeoutMs`
   */
  readonly timeoutMs?: number | undefined;
  /** Gives up the wait, not the task. */
  readonly signal?: AbortSignal | undefined;
}

/** The first request of {@link untilResponse}, where it is to be another than a wait. */
export type FirstQuestion = Pick<Question<ResponseReply>, "subject" | "data" | "headers">;

/** Asks in rounds until the task has ended; after `timeoutMs` answers the task as it is then. No outage ends it before. */
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
 * Asks in rounds until the task has succeeded. Throws the failure of a task that failed, `TASK_CANCELLED` of a cancelled one, and
 * `REQUEST_TIMEOUT` when it has not ended after `timeoutMs`.
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
    `task ${id} has not ended within ${timeoutMs} ms; it goes on, wait for it again`,
  );
}
