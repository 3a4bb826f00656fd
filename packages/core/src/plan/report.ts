import { messageOf } from "../base/errors.ts";
import { isMap, sizeOf } from "../base/msgpack.ts";
import type { Failure } from "../task/task-context.ts";
import type { CheckedStep } from "./check.ts";
import { planLimits, type Known, type PlanContinuation, type StepDefinition, type StepStatus } from "./definition.ts";
import { knownIn } from "./known.ts";
import { idOf, type PlanState, type StepCounts, type Unit, type UnitState } from "./plan-state.ts";
import { resolveReferences } from "./references.ts";
import { continuationOf, knownOf, valuesOf } from "./start-step.ts";

/** The report of an inner plan to its outer plan. */
export interface Report {
  readonly counts: StepCounts;
  readonly output?: unknown;
  /** The known results of a segment's steps to which others refer. */
  readonly exports?: Readonly<Record<string, Known>>;
  readonly failure?: Failure & { readonly step?: string };
  readonly undone?: readonly string[];
  /** The rest of a plan that has not succeeded. */
  readonly rest?: PlanContinuation;
}

export function isReport(value: unknown): value is Report {
  return isMap(value) && isMap(value["counts"]);
}

/** Counts a plan's steps by status. The steps of a segment count one by one. */
export function countsOf(plan: PlanState): StepCounts {
  const counts: Partial<Record<StepStatus, number>> = plan.done > 0 ? { succeeded: plan.done } : {};
  for (const [index, unit] of plan.units.entries()) {
    const { status, counts: inner } = plan.states[index] as UnitState;
    const own: StepCounts = "segment" in unit ? (inner ?? { [status]: unit.segment.steps }) : { [status]: 1 };
    for (const [name, count] of Object.entries(own) as [StepStatus, number][])
      counts[name] = (counts[name] ?? 0) + count;
  }
  return counts;
}

/** Returns the message of a part that is done, and waits for the decision whether it must undo itself. */
export function heldReport(plan: PlanState): Report {
  const failure = plan.cause?.failure;
  return { ...reportOf(plan), ...(failure === undefined ? {} : { failure }) };
}

/** Returns the output of the machine. The output of a failed or cancelled plan holds the reason. */
export function outputOf(plan: PlanState): unknown {
  const { cause, phase, undone, part } = plan;
  if (phase === "succeeded") return part === undefined ? ownOutput(plan) : reportOf(plan);
  const failure = cause?.failure ?? { code: "INTERNAL", message: "", retryable: false };
  const { code, message, retryable } = failure;
  const step = "step" in failure ? { step: failure.step } : {};
  const text = undone.length === 0 ? message : `${message}; left undone: ${namesOf(undone)}`;
  const why = {
    code,
    message: text,
    retryable,
    ...step,
    ...(undone.length === 0 ? {} : { undone: undone.slice(0, planLimits.undoneNamed) }),
  };
  return part === undefined ? { ...why, counts: countsOf(plan) } : { ...why, ...reportOf(plan) };
}

/**
 * Returns the rest of a failed or cancelled plan, which is the same plan with the known results of its steps, or `undefined` if the results of some
 * steps are unknown.
 */
export function restOf(plan: PlanState): PlanContinuation | undefined {
  const { mode, limit, onFailure, standalone, input, output, units, states } = plan;
  const known: Record<string, Known> = { ...plan.known };
  const steps: StepDefinition[] = [];
  let inner: PlanContinuation["definition"] | undefined;
  let { done } = plan;
  for (const [index, unit] of units.entries()) {
    const state = states[index] as UnitState;
    if ("step" in unit) {
      steps.push(restOfStep(unit.step, state));
      if (isKept(state)) known[unit.step.id] = knownOf(state) as Known;
      else delete known[unit.step.id];
    } else if (state.status === "succeeded" || state.status === "compensation-failed") done += unit.segment.steps;
    else {
      const { definition, known: facts } = state.rest ?? { definition: unit.segment.definition, known: {} };
      if (definition === undefined) return undefined;
      inner ??= definition;
      for (const { id = "" } of definition.steps) delete known[id];
      Object.assign(known, facts);
      steps.push(...definition.steps);
    }
  }
  // A segment takes the mode of the plan that it was cut from. The outer plan runs its segments one after the other.
  const definition = { mode: inner?.mode ?? mode, limit, onFailure, standalone, input, output, steps };
  if (inner !== undefined) definition.limit = (inner.limit ?? 1) * limit;
  return { definition, known, done };
}

function restOfStep(step: CheckedStep, { rest }: UnitState): StepDefinition {
  return rest === undefined || !("plan" in step) ? step : { ...step, plan: { ...continuationOf(step.plan), ...rest } };
}

/** Returns true if a step does not run again. */
function isKept({ status, blocked }: UnitState): boolean {
  return status === "succeeded" || status === "compensation-failed" || (status === "skipped" && blocked !== true);
}

function reportOf(plan: PlanState): Report {
  const { part, undone, cause, known } = plan;
  const values = valuesOf(plan);
  const wanted = part?.exports;
  const exports = wanted?.flatMap((id): [string, Known][] => {
    const found = values.step(id) ?? knownIn(known, id);
    if (found === undefined || part?.outputs?.includes(id) === true) return found === undefined ? [] : [[id, found]];
    const { output: _, ...outcome } = found;
    return [[id, outcome]];
  });
  const rest = cause === undefined ? undefined : restOf(plan);
  return {
    counts: countsOf(plan),
    ...(exports === undefined ? {} : { exports: Object.fromEntries(exports) }),
    ...(exports === undefined && cause === undefined ? { output: ownOutput(plan) } : {}),
    ...(undone.length === 0 ? {} : { undone }),
    ...(rest === undefined ? {} : { rest }),
  };
}

function ownOutput(plan: PlanState): unknown {
  const { output, units, states } = plan;
  if (output !== undefined) return resolveReferences(output, valuesOf(plan, null));
  const outputs = units.flatMap((unit: Unit, index): [string, unknown][] => {
    const own = "step" in unit ? states[index]?.output : undefined;
    return own === undefined ? [] : [[idOf(unit), own]];
  });
  return Object.fromEntries(outputs);
}

/** Returns the reason why the plan's output cannot be made, or `undefined` if it can. */
export function faultOfOutput(plan: PlanState): Failure | undefined {
  try {
    const bytes = plan.output === undefined ? 0 : sizeOf(ownOutput(plan));
    if (bytes <= planLimits.stepBytes) return undefined;
    const message = `output: has ${bytes} bytes; at most ${planLimits.stepBytes} are allowed`;
    return { code: "RESPONSE_TOO_LARGE", message, retryable: false };
  } catch (error) {
    return { code: "RESPONSE_TOO_LARGE", message: `output: ${messageOf(error)}`, retryable: false };
  }
}

function namesOf(steps: readonly string[]): string {
  const named = steps.slice(0, planLimits.undoneNamed).join(", ");
  return steps.length > planLimits.undoneNamed ? `${named} and ${steps.length - planLimits.undoneNamed} more` : named;
}
