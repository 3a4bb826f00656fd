import type { Machine } from "../actor/machine.ts";
import { InvalidError } from "../base/errors.ts";
import { defineMachine, type MachineLogic } from "../machines/define.ts";

/** A machine that a test passes, either from XState or from `defineMachine`. */
export type GivenMachine = Machine | MachineLogic;

/** Returns the machine of a test. Throws `InvalidError` (`INVALID_CONFIGURATION`), which names `field`, for any other value. */
export function machineOf(given: GivenMachine, field: string): Machine {
  if (isMachine(given)) return given;
  if (isLogic(given)) return defineMachine(given);
  const message = `${field} must be what createMachine() or defineMachine() gives`;
  throw new InvalidError("INVALID_CONFIGURATION", message, {
    issues: [{ field, code: "INVALID_CONFIGURATION", message }],
  });
}

/** Returns the machines that run beside it. Throws like {@link machineOf}. */
export function machinesOf(given: readonly GivenMachine[] = []): readonly Machine[] {
  return given.map((machine, index) => machineOf(machine, `machines[${index}]`));
}

function isMachine(given: unknown): given is Machine {
  const { logic, engine } = fieldsOf(given);
  return isLogic(logic) && typeof engine === "object";
}

/** Recognises a machine by its properties, because XState's class may exist twice in a process. */
function isLogic(given: unknown): given is MachineLogic {
  return fieldsOf(given)["__xstatenode"] === true;
}

function fieldsOf(given: unknown): Readonly<Record<string, unknown>> {
  return typeof given === "object" && given !== null ? (given as Record<string, unknown>) : {};
}
