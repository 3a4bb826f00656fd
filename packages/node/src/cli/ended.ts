import { isInstance, isTerminal, type Client, type MachineView, type TaskView } from "@ergon/core";

import { exitCodes } from "./exit-codes.ts";
import { standingOf } from "./instance-view.ts";
import type { Session } from "./session.ts";
import { reasonOf, sayingWhy } from "./waiting-reason.ts";

/** Waits for a task or an instance and prints its result. On success it prints the exact bytes of the response, and with `--json` the whole view. */
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

/**
 * Returns the reason of a cancel. A task's reason names the client that cancelled it, and an instance's reason begins with "by". A machine that decides
 * about its own cancel may give its own reason or none.
 */
function cancelText(reason = ""): string {
  if (reason === "" || reason.startsWith("cancelled")) return reason || "cancelled";
  return reason.startsWith("by ") ? `cancelled ${reason}` : `cancelled: ${reason}`;
}

/** Describes the end of a task or an instance for an error. */
export function endText(view: TaskView | MachineView): string {
  const what = isInstance(view) ? `${view.machine} ${view.id}` : `task ${view.id}`;
  if (view.status === "failed")
    return `ergon: ${view.failure?.code ?? "AGENT_FAILED"}: ${what} has failed: ${view.failure?.message ?? ""}`;
  if (view.status === "cancelled") return `ergon: TASK_CANCELLED: ${what} was ${cancelText(view.reason)}`;
  const reason = reasonOf(view);
  const stands = `${standingOf(view)}${reason === undefined ? "" : ` (${reason})`}`;
  return `ergon: REQUEST_TIMEOUT: ${what} has not ended yet: it is ${stands} and continues; "ergon wait ${view.id}" waits for it`;
}
