import { isInstance, isTerminal, type Client, type MachineView, type TaskView } from "@ergon/core";

import { exitCodes } from "./exit-codes.ts";
import { standingOf } from "./instance-view.ts";
import type { Session } from "./session.ts";
import { reasonOf, sayingWhy } from "./waiting-reason.ts";

/** Waits for a task or an instance and says how it ended: on success the exact bytes of the response; with `--json` all that is known of it. */
export async function awaitEnd(
  session: Session,
  client: Client,
  id: string,
  timeoutMs: number | undefined,
): Promise<number> {
  const { output } = session;
  session.waitsFor = id;
  session.farewell = `ergon: ${id} continues; "ergon wait ${id}" waits for it`;
  const view = (await sayingWhy(session, client, id, client.wait(id, { timeoutMs }))) as TaskView | MachineView;
  if (output.json) output.value(view);
  else if (view.status === "succeeded") output.bytes((await client.response(id)).data);
  else output.note(endText(view));
  return exitCodeOfTask(view);
}

/** The exit code for a task's status. */
export function exitCodeOfTask({ status }: { readonly status: string }): number {
  if (status === "succeeded") return exitCodes.done.code;
  return isTerminal(status) ? exitCodes.failed.code : exitCodes.timeout.code;
}

/** The reason of a task says who cancelled it, that of an instance begins with "by"; a machine that decides over its own cancel says why, or nothing. */
function cancelText(reason = ""): string {
  if (reason === "" || reason.startsWith("cancelled")) return reason || "cancelled";
  return reason.startsWith("by ") ? `cancelled ${reason}` : `cancelled: ${reason}`;
}

/** How a task or an instance has ended, as an error says it. */
export function endText(view: TaskView | MachineView): string {
  const what = isInstance(view) ? `${view.machine} ${view.id}` : `task ${view.id}`;
  if (view.status === "failed")
    return `ergon: ${view.failure?.code ?? "AGENT_FAILED"}: ${what} has failed: ${view.failure?.message ?? ""}`;
  if (view.status === "cancelled") return `ergon: TASK_CANCELLED: ${what} was ${cancelText(view.reason)}`;
  const reason = reasonOf(view);
  const stands = `${standingOf(view)}${reason === undefined ? "" : ` (${reason})`}`;
  return `ergon: REQUEST_TIMEOUT: ${what} has not ended yet: it is ${stands} and continues; "ergon wait ${view.id}" waits for it`;
}
