import { TASK } from "../base/built-in.ts";
import { NotFoundError } from "../base/errors.ts";
import type { Machine } from "./machine.ts";

/** The machines that a node knows. A name may have several versions. */
export interface MachineRegistry {
  /** Returns a machine. Throws `NotFoundError` (`MACHINE_NOT_FOUND`) when the name or the version is unknown. */
  get(name: string, version: string): Machine;
  has(name: string, version: string): boolean;
  /** Returns the newest version of the machine, which is the highest; numbers inside a version compare as numbers. Throws like {@link MachineRegistry.get}. */
  newest(name: string): Machine;
  /** Returns the newest version that is newer than `version` and can take over its instances, or `undefined` when the instances stay. */
  upgradeOf(name: string, version: string): Machine | undefined;
  /** Returns every machine with its version, as `name@version`. */
  names(): string[];
  /** Returns the unknown versions whose instances a newer known one takes over, as `name@version`. */
  migratable(): string[];
  /** Returns the machines that clients start by name. */
  startable(): string[];
}

export function createMachineRegistry(machines: readonly Machine[]): MachineRegistry {
  const newest = new Map<string, Machine>();
  for (const machine of machines) {
    const other = newest.get(machine.name);
    if (other === undefined || compareVersions(other.version, machine.version) < 0) newest.set(machine.name, machine);
  }
  const upgrades = upgradesOf(machines);
  const byKey = new Map(machines.map((machine) => [`${machine.name}@${machine.version}`, machine]));
  return {
    get(name, version) {
      return byKey.get(`${name}@${version}`) ?? unknown(`${name}@${version}`);
    },
    newest: (name) => newest.get(name) ?? unknown(name),
    has: (name, version) => byKey.has(`${name}@${version}`),
    startable: () => [...newest.keys()].filter((name) => name !== TASK),
    upgradeOf: (name, version) => (upgrades.size === 0 ? undefined : upgrades.get(`${name}@${version}`)),
    names: () => [...byKey.keys()],
    migratable: () => [...upgrades.keys()].filter((key) => !byKey.has(key)),
  };
}

function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}

function upgradesOf(machines: readonly Machine[]): ReadonlyMap<string, Machine> {
  const upgrades = new Map<string, Machine>();
  for (const machine of machines) {
    for (const from of Object.keys(machine.migrate ?? {})) {
      const key = `${machine.name}@${from}`;
      const other = upgrades.get(key);
      const isNewer = other === undefined || compareVersions(other.version, machine.version) < 0;
      if (isNewer && compareVersions(from, machine.version) < 0) upgrades.set(key, machine);
    }
  }
  return upgrades;
}

function unknown(machine: string): never {
  throw new NotFoundError("MACHINE_NOT_FOUND", `machine ${machine} is not known here; start a node that registers it`);
}
