import type { NodeView } from "@ergon/core";

/** Counts the records that wait for each machine that the node of their shard does not know. */
export function waitingFor(nodes: readonly NodeView[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { waiting = {} } of nodes)
    for (const [machine, count] of Object.entries(waiting)) counts.set(machine, (counts.get(machine) ?? 0) + count);
  return counts;
}
