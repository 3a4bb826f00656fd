import { crc32 } from "node:zlib";

import { type Failure } from "@ergon/core";
import { statusOf, type Answered, type TaskContext } from "@ergon/core/engine";

/** An answer as an event for its task. */
export interface AnswerEvent {
  readonly type: string;
  readonly attempt: number;
  readonly [field: string]: unknown;
}

/**
 * Tells whether the answer repeats the answer that ended its attempt. The history shows it as far as it reaches back. For a response the bytes show it,
 * because an agent that ran an attempt twice may have two responses.
 */
export function isRecorded(task: TaskContext, event: AnswerEvent): boolean {
  const [, status, , , reason = ""] = task.history.findLast(([, , attempt]) => attempt === event.attempt) ?? [];
  switch (event.type) {
    case "succeeded":
      return status === "succeeded" && Buffer.compare(task.response ?? NOTHING, event["response"] as Uint8Array) === 0;
    case "failed": {
      const { code, message } = event["failure"] as { readonly code: string; readonly message: string };
      return (status === "failed" || status === "retrying") && isShort(reason, `${code}: ${message}`);
    }
    default:
      return status === "retrying" && isShort(reason, String(event["reason"]));
  }
}

/** The part of an answer that an instance keeps after the answer has ended one of its embedded tasks. */
export function answeredOf(key: number, task: TaskContext): Answered | undefined {
  const status = statusOf(task);
  if (status === "succeeded") return [key, task.attempt, responseSum(task.response ?? NOTHING)];
  return status === "failed" && task.failure !== undefined ? [key, task.attempt, failureSum(task.failure)] : undefined;
}

/** Does the same as {@link isRecorded} for an embedded task that has ended, because then only its instance knows of it. */
export function wasRecorded(answered: readonly Answered[], key: number, event: AnswerEvent): boolean {
  const [, attempt, sum] = answered.find(([of]) => of === key) ?? [];
  if (attempt !== event.attempt) return false;
  if (event.type === "succeeded") return sum === responseSum(event["response"] as Uint8Array);
  return event.type === "failed" && sum === failureSum(event["failure"] as Failure);
}

function responseSum(response: Uint8Array): number {
  return crc32(response, crc32("succeeded"));
}

function failureSum({ code, message }: Failure): number {
  return crc32(`failed ${code}: ${message}`);
}

const NOTHING = new Uint8Array();

/** Tells whether a line of the history contains this reason, which the line may have shortened. */
function isShort(told: string, reason: string): boolean {
  return told === reason || (told.endsWith("…") && reason.startsWith(told.slice(0, -1)));
}
