import type { Issue } from "../base/errors.ts";
import { isMap, sizeOf } from "../base/msgpack.ts";
import { Faults, plainNumber } from "../wire/option-checks.ts";
import { checkContinuation } from "./check-continuation.ts";
import { checkFields, checkStep, isStepId } from "./check-step.ts";
import { stepsInRule } from "./condition.ts";
import {
  failurePolicies,
  planLimits,
  planModes,
  type FailurePolicy,
  type Known,
  type PlanContinuation,
  type PlanDefinition,
  type PlanMode,
  type StepDefinition,
} from "./definition.ts";
import { findCycle } from "./order.ts";
import { isPath, referencesIn, stepOf } from "./references.ts";

/** A step with its id, the steps for whose end it waits in a graph, and the steps to whose outcome it refers. */
export type CheckedStep = StepDefinition & { readonly id: string };

/** A definition without faults, with its defaults filled in. */
export interface CheckedPlan {
  readonly mode: PlanMode;
  readonly limit: number;
  readonly onFailure: FailurePolicy;
  readonly standalone: boolean;
  readonly input: unknown;
  readonly output: unknown;
  readonly steps: readonly CheckedStep[];
  readonly known: Readonly<Record<string, Known>>;
}

const planFields = ["mode", "limit", "onFailure", "standalone", "input", "output", "steps"] as const;

/** Returns true if the input is a continuation. The wire also allows a plan, and a list of steps. */
export function isContinuation(plan: unknown): plan is PlanContinuation {
  return isMap(plan) && isMap(plan["definition"]);
}

/** The inputs that passed the check. A start is checked first, and then begins with the same input. */
const good = new WeakMap<object, CheckedPlan>();

/** Checks the input of a plan. Throws `InvalidError` with an issue for each fault. */
export function checkPlan(plan: unknown): CheckedPlan {
  const known = typeof plan === "object" && plan !== null ? good.get(plan) : undefined;
  if (known !== undefined) return known;
  const checked = checkAll(plan);
  good.set(plan as object, checked);
  return checked;
}

function checkAll(plan: unknown): CheckedPlan {
  const faults = new Faults();
  const checked = checkAt(plan, "", 1, faults);
  const count = countSteps(checked?.steps ?? []);
  if (count > planLimits.steps)
    faults.add(
      "steps",
      "INVALID_OPTION",
      `has ${count} steps, those of inner plans included; ${planLimits.steps} are allowed`,
    );
  // A misspelt name explains the faults that follow from it, so it comes first.
  const rank = ({ code }: Issue): number => (code === "UNKNOWN_OPTION" ? 0 : 1);
  faults.issues.sort((one, other) => rank(one) - rank(other));
  faults.throwIfAny();
  return checked as CheckedPlan;
}

/** Counts the steps of a plan, including those of its inner plans. */
function countSteps(steps: readonly StepDefinition[]): number {
  let count = steps.length;
  for (const step of steps) if ("plan" in step) count += countSteps(stepsOf(step.plan));
  return count;
}

function stepsOf(plan: PlanDefinition | PlanContinuation | readonly StepDefinition[]): readonly StepDefinition[] {
  if (Array.isArray(plan)) return plan as readonly StepDefinition[];
  const { steps } = isContinuation(plan) ? plan.definition : (plan as PlanDefinition);
  return Array.isArray(steps) ? steps : [];
}

function checkAt(raw: unknown, at: string, depth: number, faults: Faults): CheckedPlan | undefined {
  const field = (name: string): string => (at === "" ? name : `${at}.${name}`);
  if (depth > planLimits.depth)
    return faults.add(at, "INVALID_OPTION", `plans may be ${planLimits.depth} deep in each other at most`);
  if (isContinuation(raw) && !checkContinuation(raw, field, faults)) return undefined;
  const known = isContinuation(raw) ? raw.known : {};
  const definition: unknown = isContinuation(raw) ? raw.definition : Array.isArray(raw) ? { steps: raw } : raw;
  if (!isMap(definition)) return faults.add(at === "" ? "plan" : at, "INVALID_BODY", "must be an object with steps");
  checkFields(definition, planFields, at, faults);
  const { steps: list, input } = definition;
  const fewest = isContinuation(raw) ? 0 : 1;
  if (!Array.isArray(list) || list.length < fewest || list.length > planLimits.steps)
    return faults.add(
      field("steps"),
      "INVALID_OPTION",
      `must be a list of 1 to ${planLimits.steps} steps${Array.isArray(list) ? `; it has ${list.length}` : ""}`,
    );
  if (sizeOf(input) > planLimits.inputBytes)
    faults.add(
      field("input"),
      "PAYLOAD_TOO_LARGE",
      `has more than the ${planLimits.inputBytes} bytes that are allowed`,
    );
  const options = checkOptions(definition, list, field, faults);
  const before = faults.issues.length;
  for (const [index, step] of list.entries()) {
    const kind = checkStep(step, field(`steps[${index}]`), faults);
    if (kind === "plan") checkAt((step as { plan: unknown }).plan, field(`steps[${index}].plan`), depth + 1, faults);
  }
  const isSound = faults.issues.length === before;
  const steps = list.map((step: unknown, index) =>
    isSound ? identified(step as StepDefinition, index) : legible(step, index),
  );
  const checked = { ...options, input, output: definition["output"], steps, known };
  checkConnections(checked, field, faults);
  return isSound ? checked : undefined;
}

function identified(step: StepDefinition, index: number): CheckedStep {
  return { ...step, id: step.id ?? String(index) };
}

/** Returns the readable part of a faulty step, so that one check also finds the faults of its connections. */
function legible(step: unknown, index: number): CheckedStep {
  if (!isMap(step)) return identified({} as StepDefinition, index);
  const { id, dependsOn, ...rest } = step;
  const isList = Array.isArray(dependsOn) && dependsOn.every((one) => typeof one === "string");
  const read = { ...rest, ...(isStepId(id) ? { id } : {}), ...(isList ? { dependsOn } : {}) };
  return identified(read as unknown as StepDefinition, index);
}

function checkOptions(
  definition: Readonly<Record<string, unknown>>,
  steps: readonly unknown[],
  field: (name: string) => string,
  faults: Faults,
): Pick<CheckedPlan, "mode" | "limit" | "onFailure" | "standalone"> {
  const isGraph = steps.some((step) => isMap(step) && step["dependsOn"] !== undefined);
  const mode = oneOf("mode", definition["mode"] ?? (isGraph ? "graph" : "sequence"), planModes, field, faults);
  if (isGraph && mode !== "graph")
    faults.add(field("mode"), "INVALID_OPTION", "must be graph, or absent, where steps depend on others");
  const fallback = mode === "parallel" ? "continue" : "stop";
  const onFailure = oneOf("onFailure", definition["onFailure"] ?? fallback, failurePolicies, field, faults);
  const { limit = mode === "sequence" ? 1 : planLimits.defaultLimit, standalone = false } = definition;
  const most = mode === "sequence" ? 1 : planLimits.limit;
  plainNumber(
    field("limit"),
    typeof limit === "number" ? limit : Number.NaN,
    { whole: true, min: 1, max: most },
    faults,
  );
  if (typeof standalone !== "boolean") faults.add(field("standalone"), "INVALID_OPTION", "must be true or false");
  return { mode, limit: limit as number, onFailure, standalone: standalone as boolean };
}

function oneOf<T extends string>(
  name: string,
  value: unknown,
  allowed: readonly T[],
  field: (name: string) => string,
  faults: Faults,
): T {
  if (!allowed.includes(value as T)) faults.add(field(name), "INVALID_OPTION", `must be one of ${allowed.join(", ")}`);
  return value as T;
}

/** The references of a step. */
export interface Needs {
  /** The steps that the dependencies, the condition and the input refer to. The id `*` stands for any step. */
  readonly steps: ReadonlySet<string>;
  /** The steps among these whose output the step may read, and the step itself if its compensation reads its output. */
  readonly outputs: ReadonlySet<string>;
}

const needs = new WeakMap<CheckedStep, Needs>();

/** Returns the steps to which a step refers. */
export function needsOf(step: CheckedStep): Needs {
  const found = needs.get(step) ?? findNeeds(step);
  needs.set(step, found);
  return found;
}

function findNeeds(step: CheckedStep): Needs {
  const inRule = stepsInRule(step.when);
  const steps = new Set([...(step.dependsOn ?? []), ...inRule]);
  const outputs = new Set(inRule);
  for (const path of [...referencesIn(inputOf(step)), ...referencesIn(step.compensate)]) {
    const id = stepOf(path);
    if (id === undefined) continue;
    if (!path.endsWith(".status")) outputs.add(id);
    // A compensation may refer to the output of its step.
    if (id !== step.id) steps.add(id);
  }
  return { steps, outputs };
}

/** Returns all values of a step in which references are replaced. */
function inputOf(step: StepDefinition): unknown {
  if (!("driver" in step)) return (step as { input?: unknown }).input;
  const { payload, text, arguments: agentArguments, resource } = step;
  return [payload instanceof Uint8Array ? undefined : payload, text, agentArguments, resource];
}

function checkConnections(
  { mode, steps, known, output }: CheckedPlan,
  field: (name: string) => string,
  faults: Faults,
): void {
  const places = new Map<string, number>();
  for (const [index, { id }] of steps.entries()) {
    const other = places.get(id);
    if (other !== undefined)
      faults.add(field(`steps[${index}].id`), "INVALID_ID", `"${id}" is the id of steps[${other}] as well`);
    places.set(id, index);
  }
  const isThere = (id: string): boolean => places.has(id) || Object.hasOwn(known, id);
  for (const [index, step] of steps.entries()) {
    const at = field(`steps[${index}]`);
    for (const path of [...referencesIn(inputOf(step)), ...referencesIn(step.compensate)])
      if (!isPath(path))
        faults.add(
          at,
          "INVALID_OPTION",
          `\${${path}} is not a reference; write input, steps.<id>.output or steps.<id>.status`,
        );
    for (const id of needsOf(step).steps) {
      if (id === "*") continue;
      const name = step.dependsOn?.includes(id) === true ? `${at}.dependsOn` : at;
      if (!isStepId(id) || !isThere(id))
        faults.add(name, "INVALID_OPTION", `refers to step "${id}", which is not there`);
      else if (mode === "parallel" && places.has(id))
        faults.add(name, "INVALID_OPTION", `refers to step "${id}": steps that do so make a graph; set mode to graph`);
      else if (mode === "sequence" && (places.get(id) ?? -1) >= index)
        faults.add(name, "INVALID_OPTION", `refers to step "${id}", which does not come before it`);
    }
  }
  for (const path of referencesIn(output)) {
    const id = stepOf(path);
    if (!isPath(path) || (id !== undefined && !isThere(id)))
      faults.add(field("output"), "INVALID_OPTION", `\${${path}} leads to nothing`);
  }
  const cycle =
    mode === "graph" ? findCycle(new Map(steps.map((step) => [step.id, [...needsOf(step).steps]]))) : undefined;
  if (cycle !== undefined) faults.add(field("steps"), "INVALID_OPTION", `wait for each other: ${cycle.join(" -> ")}`);
}
