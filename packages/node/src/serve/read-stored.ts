import { decodeRecord, type ActorState, type MachineRegistry } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import { unreadable } from "../shard/stepper.ts";
import { unreadableError } from "./refusals.ts";

/** Reads a task or an instance that is not live from the store. Throws `ConflictError` if this node cannot read its record. */
export async function readStored(
  { ports }: NodeContext,
  machines: MachineRegistry,
  shard: HostedShard,
  id: string,
): Promise<ActorState | undefined> {
  const aside = unreadableError(shard, id);
  if (aside !== undefined) throw aside;
  const stored = await ports.records.read(shard.number, id);
  if (stored === undefined || stored.data.length === 0) return undefined;
  const record = decodeRecord(stored.data, machines);
  if (record.kind === "unreadable") throw unreadable(id, record.reason);
  return record.state;
}
