import { TASK } from "../base/built-in.ts";
import { NotFoundError } from "../base/errors.ts";
import type { Machine } from "./machine.ts";

/** The machines that a node knows. Versions of one name live side by side. */
export interface MachineRegistry {
  /** Throws `NotFoundError` (`MACHINE_NOT_FOUND`) when the machine, or that version of it, is unknown. */
  get(name: string, version: string): Machine;
  has(name: string, version: string): boolean;
  /** The newest version of the machine: the highest, numbers in it compared as numbers. Throws like {@link MachineRegistry.get}. */
  newest(name: string): Machine;
  /** The newest version of a machine that can take over its instances of the version, and is newer; `undefined`: they stay. */
  upgradeOf(name: string, version: string): Machine | undefined;
  /** Every machine with its version, as `name@version`. */
  names(): string[];
  /** The versions of machines that are not known themselves, but whose instances a newer one takes over, as `name@version`. */
  migratable(): string[];
  /** The machines that are started by name. */
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
