import { isTerminal, type Client, type TaskView } from "@ergon/core";

import { exitCodes } from "./exit-codes.ts";
import type { Session } from "./session.ts";

/** Waits for a task and says how it ended: on success the exact bytes of the response; with `--json` the task. */
export async function awaitEnd(
  session: Session,
  client: Client,
  id: string,
  timeoutMs: number | undefined,
): Promise<number> {
  const { output } = session;
  session.farewell = `ergon: task ${id} goes on, "ergon wait ${id}" waits for it`;
  const view = await client.wait(id, { timeoutMs });
  if (output.json) output.value(view);
  else if (view.status === "succeeded") output.bytes((await client.response(id)).data);
  else output.note(endText(view));
  return exitCodeOfTask(view);
}

/** What a task's status means for the process. */
export function exitCodeOfTask({ status }: Pick<TaskView, "status">): number {
  if (status === "succeeded") return exitCodes.done.code;
  return isTerminal(status) ? exitCodes.failed.code : exitCodes.timeout.code;
}

function endText(view: TaskView): string {
  if (view.status === "failed")
    return `ergon: ${view.failure?.code ?? "AGENT_FAILED"}: task ${view.id} has failed: ${view.failure?.message ?? ""}`;
  if (view.status === "cancelled") return `ergon: TASK_CANCELLED: task ${view.id} was ${view.reason ?? "cancelled"}`;
  return `ergon: REQUEST_TIMEOUT: task ${view.id} has not ended yet: it is ${view.status}; it goes on, "ergon wait ${view.id}" waits for it`;
}
