import type { TaskContext } from "@ergon/core";

/** An answer as the event that it is for its task. */
export interface AnswerEvent {
  readonly type: string;
  readonly attempt: number;
  readonly [field: string]: unknown;
}

/**
 * Whether the answer is the one that ended its attempt, sent again. The history tells it, as far as that reaches back; of a response the bytes do,
 * since who ran an attempt twice may have two.
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

const NOTHING = new Uint8Array();

/** Whether a line of the history tells this reason, which it may have shortened. */
function isShort(told: string, reason: string): boolean {
  return told === reason || (told.endsWith("…") && reason.startsWith(told.slice(0, -1)));
}
