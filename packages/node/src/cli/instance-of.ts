import { NotFoundError, isInstance, type Client, type MachineView } from "@ergon/core";
import { type BuiltInName } from "@ergon/core/engine";

/** Finds the instance of a command for one machine. Throws `NotFoundError` if nothing has the id, or something else has it. */
export async function instanceOf(client: Client, id: string, machine: BuiltInName): Promise<MachineView> {
  const view = (await client.get(id)) as unknown as MachineView;
  if (isInstance(view) && view.machine === machine) return view;
  const what = isInstance(view) ? `an instance of ${view.machine}` : "a task";
  throw new NotFoundError("TASK_NOT_FOUND", `${id} is ${what}, not a ${machine}; "ergon get ${id}" shows it`);
}
