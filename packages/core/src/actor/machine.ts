import type { AnyStateMachine } from "xstate";

import { NotFoundError } from "../base/errors.ts";

/** A machine that the engine can run, by the name and version that records carry. */
export interface Machine {
  readonly name: string;
  readonly version: string;
  readonly logic: AnyStateMachine;
}

/** The machines that a node knows. Versions of one name live side by side. */
export interface MachineRegistry {
  /** Throws `NotFoundError` (`MACHINE_NOT_FOUND`) when the machine, or that version of it, is unknown. */
  get(name: string, version: string): Machine;
  has(name: string, version: string): boolean;
  names(): string[];
}

export function createMachineRegistry(machines: readonly Machine[]): MachineRegistry {
  const byKey = new Map(machines.map((machine) => [`${machine.name}@${machine.version}`, machine]));
  return {
    get(name, version) {
      const machine = byKey.get(`${name}@${version}`);
      if (machine === undefined) {
        throw new NotFoundError(
          "MACHINE_NOT_FOUND",
          `machine ${name}@${version} is not known here; start a node that registers it`,
        );
      }
      return machine;
    },
    has: (name, version) => byKey.has(`${name}@${version}`),
    names: () => [...byKey.keys()],
  };
}
