import type { AnyStateMachine } from "xstate";

import { NotFoundError } from "../base/errors.ts";
import type { Engine } from "./engine.ts";
import type { ActorState } from "./step.ts";

/** A machine that the engine can run, by the name and version that records carry. */
export interface Machine {
  readonly name: string;
  readonly version: string;
  readonly logic: AnyStateMachine;
  readonly engine: Engine;
  /** Throws `InvalidError`, with an issue for each fault, when an instance cannot be started with the input. */
  readonly checkInput?: (input: unknown) => void;
  /** The input of an instance that goes on where one has failed or was cancelled: what `retry` starts. Throws `ConflictError` when there is none. */
  readonly again?: (state: ActorState) => unknown;
  /** What readers see of an instance beside the fields that all have, and in place of them. `children`: what runs for it, as they see that. */
  readonly describe?: (state: ActorState, children: readonly object[]) => object;
}

/** The machines that a node knows. Versions of one name live side by side. */
export interface MachineRegistry {
  /** Throws `NotFoundError` (`MACHINE_NOT_FOUND`) when the machine, or that version of it, is unknown. */
  get(name: string, version: string): Machine;
  has(name: string, version: string): boolean;
  /** The newest version of the machine: the highest, numbers in it compared as numbers. Throws like {@link MachineRegistry.get}. */
  newest(name: string): Machine;
  /** Every machine with its version, as `name@version`. */
  names(): string[];
  /** The machines that are started by name. */
  startable(): string[];
}

export function createMachineRegistry(machines: readonly Machine[]): MachineRegistry {
  const newest = new Map<string, Machine>();
  for (const machine of machines) {
    const other = newest.get(machine.name);
    if (other === undefined || other.version.localeCompare(machine.version, "en", { numeric: true }) < 0)
      newest.set(machine.name, machine);
  }
  const byKey = new Map(machines.map((machine) => [`${machine.name}@${machine.version}`, machine]));
  return {
    get(name, version) {
      return byKey.get(`${name}@${version}`) ?? unknown(`${name}@${version}`);
    },
    newest: (name) => newest.get(name) ?? unknown(name),
    has: (name, version) => byKey.has(`${name}@${version}`),
    startable: () => [...newest.keys()].filter((name) => name !== "task"),
    names: () => [...byKey.keys()],
  };
}

function unknown(machine: string): never {
  throw new NotFoundError("MACHINE_NOT_FOUND", `machine ${machine} is not known here; start a node that registers it`);
}
