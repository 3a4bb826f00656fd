import { NotFoundError, type Client } from "@ergon/core";
import { TASK } from "@ergon/core/engine";

/** Lists the machines of which some node can start instances, each with its version: `order@1`. */
export async function knownMachines(client: Client): Promise<readonly string[]> {
  const nodes = await client.nodes();
  const names = new Set(nodes.flatMap(({ machines }) => machines));
  return [...names].filter((name) => !name.startsWith(`${TASK}@`)).toSorted();
}

/** Makes the error that no node knows a machine, with the machines that they know. */
export function machineNotFound(machine: string, known: readonly string[], cause?: unknown): NotFoundError {
  const those = known.length === 0 ? "none" : known.join(", ");
  return new NotFoundError("MACHINE_NOT_FOUND", `no node knows the machine "${machine}"; known machines: ${those}`, {
    cause,
  });
}
