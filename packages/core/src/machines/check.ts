import type { RecordFields } from "../actor/record-fields.ts";
import type { MachineRegistry } from "../actor/registry.ts";
import { isBuiltIn } from "../base/built-in.ts";
import { messageOf } from "../base/errors.ts";
import { misshapen } from "../base/shape.ts";
import { misfit } from "./fit.ts";
import { metaShape, treeShape } from "./machine-shape.ts";
import { stateText } from "./machine-state.ts";
import { migrateFields } from "./migrate.ts";

/** The result of checking a stored instance against a set of machines. */
export interface Verdict {
  readonly machine: string;
  readonly version: string;
  readonly state: string;
  /** `fits` means that the instance can go on, `moves` that it can go on as version `to`, and `breaks` that it cannot go on, or not correctly. */
  readonly kind: "fits" | "moves" | "breaks";
  readonly to?: string;
  readonly reason?: string;
}

/**
 * Checks whether a live instance could go on with only these machines. It is pure and starts no actor. Returns `undefined` for a task and for an
 * instance that has ended.
 */
export function checkRecord(fields: RecordFields, machines: MachineRegistry): Verdict | undefined {
  const { machine, version, snapshot, meta } = fields;
  if (meta === undefined || snapshot.status !== "active" || isBuiltIn(machine)) return undefined;
  const known = machines.has(machine, version) ? machines.get(machine, version) : undefined;
  const damage = misshapen(metaShape, meta, "meta") ?? misshapen(treeShape, snapshot, "snapshot");
  if (damage !== undefined) return { machine, version, state: "?", kind: "breaks", reason: damage };
  const told = { machine, version, state: stateText(snapshot.value) };
  const upgrade = machines.upgradeOf(machine, version);
  if (upgrade !== undefined) {
    try {
      migrateFields(fields, upgrade);
      return { ...told, kind: "moves", to: upgrade.version };
    } catch (error) {
      return { ...told, kind: "breaks", to: upgrade.version, reason: `migration ${messageOf(error)}` };
    }
  }
  if (known === undefined) return { ...told, kind: "breaks", reason: `machine ${machine}@${version} is not known` };
  const reason = misfit(known.logic, fields);
  return reason === undefined ? { ...told, kind: "fits" } : { ...told, kind: "breaks", reason };
}
