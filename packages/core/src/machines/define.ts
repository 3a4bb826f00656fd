import type { AnyStateMachine } from "xstate";

import type { Machine } from "../actor/machine.ts";
import { InvalidError } from "../base/errors.ts";
import { isName } from "../wire/subjects.ts";
import { machineEngine } from "./machine-engine.ts";

export interface DefineOptions {
  /** @defaultValue the machine's `id` */
  readonly name?: string;
  /** What tells instances of this definition from those of others by the same name. @defaultValue the machine's `version`, or "1" */
  readonly version?: string;
}

/** Names that belong to Ergon. */
const reserved: ReadonlySet<string> = new Set(["task", "schedule", "plan"]);

/**
 * Makes an XState machine one that nodes run durably. Throws `InvalidError` (`INVALID_CONFIGURATION`) when its name or its version is none, or
 * belongs to Ergon.
 */
export function defineMachine(logic: AnyStateMachine, options: DefineOptions = {}): Machine {
  const name = options.name ?? logic.id;
  const version = options.version ?? logic.version ?? "1";
  if (!isName(name))
    throw invalid(
      "name",
      `machine "${name}": a name is 1 to 64 letters, digits, "_" or "-"; give the machine such an id`,
    );
  if (reserved.has(name)) throw invalid("name", `machine "${name}": the name belongs to Ergon; choose another`);
  if (!/^[\w.+-]{1,64}$/.test(version))
    throw invalid(
      "version",
      `machine ${name}: version "${version}" must be 1 to 64 letters, digits, ".", "+", "_" or "-"`,
    );
  return { name, version, logic, engine: machineEngine };
}

function invalid(field: string, message: string): InvalidError {
  return new InvalidError("INVALID_CONFIGURATION", message, {
    issues: [{ field, code: "INVALID_CONFIGURATION", message }],
  });
}
