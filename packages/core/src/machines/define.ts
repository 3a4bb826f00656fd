import type { AnyStateMachine } from "xstate";

import type { Machine } from "../actor/machine.ts";
import type { Migration } from "../actor/migration.ts";
import { isReserved } from "../base/built-in.ts";
import { InvalidError } from "../base/errors.ts";
import { isName } from "../base/id.ts";
import { machineEngine } from "./machine-engine.ts";

export interface DefineOptions {
  /** @defaultValue the machine's `id` */
  readonly name?: string;
  /** The version, which distinguishes instances of this definition from those of others with the same name. @defaultValue the machine's `version`, or "1" */
  readonly version?: string;
  /**
   * The migrations from former versions, by version. An instance migrates when the next event or timer reaches it on a
   * node that knows this version, or by `ergon migrate`. @defaultValue none: instances stay on the version with which they were started
   */
  readonly migrate?: Readonly<Record<string, Migration>>;
}

/** An XState machine of any type: the types of machines with actors are incompatible under `exactOptionalPropertyTypes`. */
export interface MachineLogic {
  readonly id: string;
  readonly version?: string | undefined;
  readonly definition: unknown;
}

/**
 * Turns an XState machine into one that nodes run durably. Throws `InvalidError` (`INVALID_CONFIGURATION`) if its name or its version is not valid, or
 * if the name belongs to Ergon.
 */
export function defineMachine(machine: MachineLogic, options: DefineOptions = {}): Machine {
  const logic = machine as AnyStateMachine;
  const name = options.name ?? logic.id;
  const version = options.version ?? logic.version ?? "1";
  if (!isName(name))
    throw invalid(
      "name",
      `machine "${name}": a name is 1 to 64 letters, digits, "_" or "-"; give the machine such an id`,
    );
  if (isReserved(name)) throw invalid("name", `machine "${name}": the name belongs to Ergon; choose another`);
  if (!/^[\w.+-]{1,64}$/.test(version))
    throw invalid(
      "version",
      `machine ${name}: version "${version}" must be 1 to 64 letters, digits, ".", "+", "_" or "-"`,
    );
  const { migrate } = options;
  if (migrate === undefined) return { name, version, logic, engine: machineEngine };
  for (const [from, migration] of Object.entries(migrate)) {
    if (from === version)
      throw invalid("migrate", `machine ${name}: migrate.${from} leads from version ${from} to itself`);
    if (typeof migration !== "function")
      throw invalid("migrate", `machine ${name}: migrate.${from} must be a function of an instance of version ${from}`);
  }
  return { name, version, logic, engine: machineEngine, migrate };
}

function invalid(field: string, message: string): InvalidError {
  return new InvalidError("INVALID_CONFIGURATION", message, {
    issues: [{ field, code: "INVALID_CONFIGURATION", message }],
  });
}
