import type { Order } from "../coordinator/order.ts";
import type { Failure } from "../task/task-context.ts";
import { idOf, type PlanState, type Unit, type UnitState } from "./plan-state.ts";
import { failureAt, resolveTask, valuesOf } from "./start-step.ts";

/** The message of an inner plan to its outer plan. It says that the inner plan is done, and waits for the decision whether it must undo itself. */
export const HELD = "ergon.plan.held";
/** The decision for such a plan. It either undoes itself, or ends because nothing will be undone. */
export const UNDO = "ergon.plan.undo";
export const CLOSE = "ergon.plan.close";

/** Returns the last unit that is done and can be undone. */
export function nextToUndo(plan: PlanState): number | undefined {
  return plan.finished.findLast((index) => isUndoable(plan, index));
}

/** Returns true if a unit has done work that can be undone. */
export function isUndoable({ units, states }: PlanState, index: number): boolean {
  const unit = units[index] as Unit;
  const { status, held, outputBytes } = states[index] as UnitState;
  if (status === "compensating" || status === "compensation-failed") return false;
  // A step whose output was too large has done its work nevertheless.
  const isDone = status === "succeeded" || (status === "failed" && outputBytes !== undefined);
  return held === true || (isDone && "step" in unit && unit.step.compensate !== undefined);
}

/**
 * Returns a plan that was ended from outside. Its running units count as cancelled and its running compensations as failed, and it undoes nothing
 * more. Held inner plans are told, and undo themselves.
 */
export function leftBehind(plan: PlanState): PlanState {
  const { phase, units, states, finished } = plan;
  if (phase === "succeeded" || phase === "failed" || phase === "cancelled") return plan;
  const left = finished.filter((index) => {
    const { status, held } = states[index] as UnitState;
    return status === "compensating" || (held !== true && isUndoable(plan, index));
  });
  return {
    ...plan,
    states: states.map((state) => {
      if (state.status === "running") return { ...state, status: "cancelled" };
      return state.status === "compensating" ? { ...state, status: "compensation-failed" } : state;
    }),
    undone: [...plan.undone, ...left.toReversed().map((index) => idOf(units[index] as Unit))],
  };
}

/** Returns the order that undoes a unit. A plan undoes itself, and a step starts its compensation. */
export function undoingOf(
  plan: PlanState,
  index: number,
): { readonly kind: "undo"; readonly order: Order } | { readonly kind: "failed"; readonly failure: Failure } {
  const unit = plan.units[index] as Unit;
  const { held, gone } = plan.states[index] as UnitState;
  if (gone === true) return { kind: "failed", failure: failureAt(new Error("it was ended by force")) };
  if (held === true) return { kind: "undo", order: { type: "send", actor: `step.${index}`, event: { type: UNDO } } };
  try {
    const task = resolveTask(("step" in unit && unit.step.compensate) as never, valuesOf(plan));
    return {
      kind: "undo",
      order: { type: "start", actor: `undo.${index}`, work: { kind: "task", task, standalone: plan.standalone } },
    };
  } catch (error) {
    return { kind: "failed", failure: failureAt(error) };
  }
}
