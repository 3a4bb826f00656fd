import { taskMeaning } from "../wire/task-meaning.ts";
import { taskFieldsOf } from "./check-step.ts";
import { checkPlan, isContinuation, type CheckedStep } from "./check.ts";
import type { StepTask } from "./definition.ts";

/**
 * Returns the meaning of a plan, independent of its spelling. The meaning has all defaults filled in, and the meanings of the plan's tasks. Throws
 * `InvalidError` like {@link checkPlan}.
 */
export function planMeaning(plan: unknown): unknown {
  const { steps, ...options } = checkPlan(plan);
  const rest = isContinuation(plan) ? { done: plan.done, part: plan.part } : {};
  return { ...options, ...rest, steps: steps.map((step) => stepMeaning(step, options.standalone)) };
}

function stepMeaning(step: CheckedStep, isStandalone: boolean): unknown {
  const compensate = step.compensate === undefined ? undefined : taskMeaning(step.compensate);
  if ("plan" in step) return { ...step, compensate, plan: planMeaning(step.plan) };
  if ("machine" in step) return { ...step, compensate };
  const { id, dependsOn, when, standalone = isStandalone } = step;
  return { id, dependsOn, when, compensate, standalone, task: taskMeaning(taskFieldsOf({ ...step }) as StepTask) };
}
