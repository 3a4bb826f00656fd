import { checkRecord, type Verdict } from "@ergon/core";
import { decodeFields, type LoadRange, type MachineRegistry, type Ports, type StoredRecord } from "@ergon/core/engine";

import { decodeMark } from "./supervisor/mark.ts";

/** Instances that share one finding. */
export interface CheckedGroup extends Verdict {
  readonly count: number;
  /** The id of one of these instances. */
  readonly example: string;
}

/**
 * Checks whether the live instances of a namespace can continue where nodes know only these machines. Reads every shard, owns none, and starts nothing.
 * The result lists the breaking instances first.
 */
export async function checkInstances(
  { records, leases }: Pick<Ports, "records" | "leases">,
  machines: MachineRegistry,
): Promise<readonly CheckedGroup[]> {
  const ranges = await Promise.all(
    Array.from({ length: records.shards }, async (_, shard): Promise<LoadRange> => {
      // A read after the request for a shard's owner sees every write under that owner.
      await records.owner(shard);
      return { shard, ...decodeMark(await leases.readMark(shard)) };
    }),
  );
  const groups = new Map<string, CheckedGroup>();
  await records.load(ranges, (_, record) => {
    const verdict = verdictOf(record, machines);
    if (verdict === undefined) return;
    const key = JSON.stringify(verdict);
    const { count, example } = groups.get(key) ?? { count: 0, example: record.id };
    groups.set(key, { ...verdict, count: count + 1, example });
  });
  return [...groups.values()].toSorted(
    (a, b) =>
      Number(b.kind === "breaks") - Number(a.kind === "breaks") ||
      a.machine.localeCompare(b.machine) ||
      a.version.localeCompare(b.version, "en", { numeric: true }) ||
      a.state.localeCompare(b.state),
  );
}

function verdictOf({ data }: StoredRecord, machines: MachineRegistry): Verdict | undefined {
  if (data.length === 0) return undefined;
  const fields = decodeFields(data);
  if ("kind" in fields) return { machine: "?", version: "?", state: "?", kind: "breaks", reason: fields.reason };
  return checkRecord(fields, machines);
}
