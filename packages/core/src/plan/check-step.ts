import { PLAN, TASK } from "../base/built-in.ts";
import { isErgonError, type ErrorCode, type InvalidError } from "../base/errors.ts";
import { isName } from "../base/id.ts";
import { isMap, sizeOf } from "../base/msgpack.ts";
import { unknownName, type Faults } from "../wire/option-checks.ts";
import { parseTaskRequest, requestFields } from "../wire/submit.ts";
import { faultOfRule } from "./condition.ts";
import { planLimits } from "./definition.ts";

/** The kind of a step, by the work that it starts. */
export type StepKind = "driver" | "machine" | "plan";

const kinds: readonly StepKind[] = ["driver", "machine", "plan"];
const common: readonly string[] = ["id", "dependsOn", "when", "compensate"];
const ofKind: Readonly<Record<StepKind, readonly string[]>> = {
  driver: [...common, ...requestFields, "standalone"],
  machine: [...common, "machine", "version", "input"],
  plan: [...common, "plan", "input"],
};

/** Checks one step by itself, and returns its kind. */
export function checkStep(step: unknown, field: string, faults: Faults): StepKind | undefined {
  if (!isMap(step)) return faults.add(field, "INVALID_BODY", "must be an object with a driver, a machine or a plan");
  const given = kinds.filter((kind) => step[kind] !== undefined);
  const [kind] = given;
  const isOne = given.length === 1;
  if (!isOne)
    faults.add(`${field}.driver`, "INVALID_OPTION", "a step is one of driver, machine and plan: give just one");
  checkFields(step, kind === undefined || !isOne ? Object.values(ofKind).flat() : ofKind[kind], field, faults);
  const { id, dependsOn, when, compensate } = step;
  if (id !== undefined && !isStepId(id))
    faults.add(`${field}.id`, "INVALID_ID", `must be 1 to ${planLimits.idLength} letters, digits, "_" or "-"`);
  if (dependsOn !== undefined && !(Array.isArray(dependsOn) && dependsOn.every((one) => typeof one === "string")))
    faults.add(`${field}.dependsOn`, "INVALID_OPTION", "must be a list of steps");
  const rule = when === undefined ? undefined : faultOfRule(when);
  if (rule !== undefined) faults.add(`${field}.when`, "INVALID_OPTION", rule);
  if (compensate !== undefined) checkTask(compensate, `${field}.compensate`, faults);
  if (!isOne) return undefined;
  if (kind === "driver") checkTaskStep(step, field, faults);
  if (kind === "machine") checkMachine(step, field, faults);
  if (kind !== "plan" && sizeOf(step) > planLimits.stepBytes)
    faults.add(field, "PAYLOAD_TOO_LARGE", `has ${sizeOf(step)} bytes; at most ${planLimits.stepBytes} are allowed`);
  return kind;
}

export function isStepId(id: unknown): id is string {
  return typeof id === "string" && id.length <= planLimits.idLength && /^[\w-]+$/.test(id) && id !== "__proto__";
}

/** Reports each field that is not one of the named ones. */
export function checkFields(
  fields: Readonly<Record<string, unknown>>,
  allowed: readonly string[],
  field: string,
  faults: Faults,
): void {
  for (const [name, value] of Object.entries(fields))
    if (value !== undefined && !allowed.includes(name))
      unknownName(
        field === "" ? name : `${field}.${name}`,
        name,
        { kind: "field", names: allowed, page: "plans" },
        faults,
      );
}

function checkTaskStep(step: Readonly<Record<string, unknown>>, field: string, faults: Faults): void {
  const { standalone } = step;
  const task = taskFieldsOf(step);
  if (standalone !== undefined && typeof standalone !== "boolean")
    faults.add(`${field}.standalone`, "INVALID_OPTION", "must be true or false");
  checkTask(task, field, faults);
}

/** Returns the fields of a step that belong to its task. */
export function taskFieldsOf(step: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(step).filter(([name]) => requestFields.has(name) && !common.includes(name)));
}

function checkTask(task: unknown, field: string, faults: Faults): void {
  if (isMap(task) && task["id"] !== undefined)
    faults.add(`${field}.id`, "UNKNOWN_OPTION", "a task of a plan gets its id from the plan");
  try {
    parseTaskRequest(task);
  } catch (error) {
    if (!isErgonError(error)) throw error;
    const { issues } = error as InvalidError;
    if (issues.length === 0) faults.add(field, error.code as ErrorCode, error.message);
    for (const issue of issues)
      faults.add(`${field}.${issue.field}`, issue.code as ErrorCode, issue.message.replace(`${issue.field}: `, ""));
  }
}

function checkMachine({ machine, version }: Readonly<Record<string, unknown>>, field: string, faults: Faults): void {
  if (typeof machine !== "string" || !isName(machine))
    faults.add(`${field}.machine`, "INVALID_OPTION", `must be 1 to 64 letters, digits, "_" or "-"`);
  else if (machine === TASK || machine === PLAN)
    faults.add(`${field}.machine`, "INVALID_OPTION", `is Ergon's own; write ${machine === TASK ? "driver" : "plan"}`);
  if (version !== undefined && (typeof version !== "string" || version.length > 64))
    faults.add(`${field}.version`, "INVALID_OPTION", "must be a text of at most 64 characters");
}
