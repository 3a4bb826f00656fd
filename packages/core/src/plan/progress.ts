import type { Decision, Order } from "../coordinator/order.ts";
import type { Ending } from "../machines/command.ts";
import { failureOf } from "../machines/failure.ts";
import { needsOf } from "./check.ts";
import type { Known } from "./definition.ts";
import { knownIn } from "./known.ts";
import { idOf, isPlan, type PlanCause, type PlanState, type Unit, type UnitState } from "./plan-state.ts";
import { faultOfOutput, heldReport, isReport, type Report } from "./report.ts";
import { faultOfKnown, fitOutput, workOf } from "./start-step.ts";
import { CLOSE, HELD, isUndoable, nextToUndo, undoingOf } from "./undo.ts";

/** The end of a unit, or of its compensation. */
export type Outcome =
  | Ending
  /** The unit's plan is done, and waits for the decision whether it must undo itself. */
  | { readonly kind: "held"; readonly report: Report };

/** The state of a plan after an event, and the plan's orders. The orders name each actor by its work and its unit, for example `step.3` or `undo.3`. */
export type Progress = Decision<PlanState>;

type Draft = { -readonly [K in keyof PlanState]: PlanState[K] } & { states: UnitState[] };

/** Starts the first steps. */
export function onStart(plan: PlanState): Progress {
  return progress(plan, () => undefined);
}

/** Handles the end of a unit, or the end of a unit's compensation. */
export function onOutcome(plan: PlanState, actor: string, outcome: Outcome): Progress {
  const [role, place] = actor.split(".");
  const index = Number(place);
  return progress(plan, (draft, orders) => {
    if (outcome.kind !== "held") orders.push({ type: "stop", actor });
    if (role === "undo" || draft.states[index]?.status === "compensating") undone(draft, index, outcome);
    else if (draft.states[index]?.status === "running") ended(draft, index, outcome);
    // An operator has ended the inner plan by force while it waited for the decision whether it must undo itself.
    else if (draft.states[index]?.held === true) draft.states[index] = { ...draft.states[index], gone: true };
  });
}

/** Cancels the plan. A held part of another plan also undoes itself. */
export function onCancel(plan: PlanState, reason: string): Progress {
  const { phase, cause } = plan;
  if (phase !== "running" && phase !== "held") return { context: plan, orders: [] };
  return progress(plan, (draft) => {
    draft.cause = cause ?? {
      kind: "cancelled",
      failure: { code: "TASK_CANCELLED", message: reason, retryable: false },
    };
    if (phase === "held") draft.phase = "compensating";
  });
}

/** Ends a part of another plan that waited, because nothing of it must be undone. */
export function onClose(plan: PlanState): Progress {
  return progress(plan, (draft, orders) => close(draft, orders));
}

function progress(plan: PlanState, change: (draft: Draft, orders: Order[]) => void): Progress {
  const draft: Draft = { ...plan, states: [...plan.states] };
  const orders: Order[] = [];
  change(draft, orders);
  settle(draft, orders);
  return { context: draft, orders };
}

/** Goes on until the plan has something to wait for. */
function settle(draft: Draft, orders: Order[]): void {
  if (draft.phase === "running") run(draft, orders);
  if (draft.phase === "stopping" && !draft.states.some(({ status }) => status === "running"))
    draft.phase = "compensating";
  if (draft.phase === "compensating") compensate(draft, orders);
}

function run(draft: Draft, orders: Order[]): void {
  // A step that is skipped, or that fails at once, may release steps before it in the list.
  for (let again = true; again && draft.cause === undefined;) again = startReady(draft, orders);
  if (draft.cause !== undefined) return stopAll(draft, orders);
  if (draft.states.some(({ status }) => status === "running")) return;
  const failed = draft.states.findIndex(({ status }) => status === "failed");
  if (failed >= 0) draft.cause = causeOf(draft, failed);
  const fault = failed >= 0 ? undefined : faultOfOutput(draft);
  if (fault !== undefined) {
    draft.cause = { kind: "failed", failure: fault };
    return stopAll(draft, orders);
  }
  // A plan with failed steps that continued keeps its succeeded steps.
  if (draft.part !== undefined && nextToUndo(draft) !== undefined) {
    draft.phase = "held";
    orders.push({ type: "report", event: { type: HELD, actor: draft.part.actor, report: heldReport(draft) } });
  } else close(draft, orders);
}

/** Starts the steps that are ready. Returns true if a step has ended without a start. */
function startReady(draft: Draft, orders: Order[]): boolean {
  let hasEnded = false;
  const places = new Map(draft.units.map((unit, index) => [idOf(unit), index]));
  let running = draft.states.filter(({ status }) => status === "running").length;
  for (const [index, unit] of draft.units.entries()) {
    if (draft.cause !== undefined || running >= draft.limit) return false;
    if (draft.states[index]?.status !== "waiting") continue;
    const readiness = readinessOf(draft, unit, places);
    if (readiness === "later") {
      if (draft.mode === "sequence") return false;
      continue;
    }
    if (readiness === "never") {
      draft.states[index] = { status: "skipped", blocked: true };
      hasEnded = true;
      continue;
    }
    const begun = workOf(draft, index);
    if (begun.kind === "later") return false;
    if (begun.kind === "failed") fail(draft, index, { status: "failed", error: begun.failure });
    else draft.states[index] = begun.state;
    if (begun.kind !== "start") {
      hasEnded = true;
      continue;
    }
    if (begun.unit !== undefined) draft.units = draft.units.with(index, begun.unit);
    orders.push({ type: "start", actor: `step.${index}`, work: begun.work });
    running++;
  }
  return hasEnded;
}

function readinessOf(draft: Draft, unit: Unit, places: ReadonlyMap<string, number>): "now" | "later" | "never" {
  if (draft.mode !== "graph" || !("step" in unit)) {
    const isFree = draft.mode !== "sequence" || !draft.states.some(({ status }) => status === "running");
    return isFree ? "now" : "later";
  }
  let readiness: "now" | "later" | "never" = "now";
  for (const id of needsOf(unit.step).steps) {
    const place = places.get(id);
    const before: Known | undefined = place === undefined ? knownIn(draft.known, id) : draft.states[place];
    if (before === undefined) continue;
    if (before.status === "waiting" || before.status === "running") readiness = "later";
    else if (before.blocked === true || (before.status !== "succeeded" && before.status !== "skipped")) return "never";
  }
  return readiness;
}

function ended(draft: Draft, index: number, outcome: Outcome): void {
  const unit = draft.units[index] as Unit;
  if (outcome.kind === "error" && isDone(outcome.error)) return doneThoughCancelled(draft, index, outcome.error);
  if (outcome.kind === "done" && !isPlan(unit)) return succeed(draft, index, fitOutput(draft, index, outcome.output));
  const raw = outcome.kind === "held" ? outcome.report : outcome.kind === "done" ? outcome.output : outcome.error;
  const report: Partial<Report> = isReport(raw) ? raw : {};
  // The message of a held plan has no effect here, because its outer plan decides about it.
  if (outcome.kind === "held" && draft.phase === "stopping") return;
  const { counts, exports, rest, output, undone: left = [] } = report;
  const known = { ...draft.known, ...exports };
  const fault = exports === undefined ? undefined : faultOfKnown(draft, known);
  if (fault === undefined) draft.known = known;
  draft.undone = [...draft.undone, ...namesIn(unit, left)];
  const more: Partial<UnitState> = {
    ...(counts === undefined ? {} : { counts }),
    ...(rest === undefined ? {} : { rest }),
    ...(outcome.kind === "held" ? { held: true } : {}),
  };
  const failure = outcome.kind === "error" ? failureFrom(outcome.error) : (report.failure ?? fault);
  if (failure === undefined) return succeed(draft, index, { ...fitOutput(draft, index, output), ...more });
  const isCancelled = draft.phase === "stopping" && failure.code === "TASK_CANCELLED" && left.length === 0;
  if (isCancelled) draft.states[index] = { status: "cancelled", ...more };
  else fail(draft, index, { status: "failed", error: failure, ...more });
}

/** The end of a task that was cancelled after its work was done. */
interface DoneThoughCancelled {
  readonly done: true;
  readonly output?: unknown;
}

function isDone(error: unknown): error is DoneThoughCancelled {
  return typeof error === "object" && error !== null && (error as Partial<DoneThoughCancelled>).done === true;
}

/**
 * Handles the end of a task whose work was done before its cancel. The step has succeeded if the plan itself cancelled it, otherwise it has failed.
 * The plan undoes the step in both cases.
 */
function doneThoughCancelled(draft: Draft, index: number, error: DoneThoughCancelled): void {
  const state = fitOutput(draft, index, error.output);
  if (draft.phase === "stopping") return succeed(draft, index, state);
  fail(draft, index, { ...state, status: "failed", outputBytes: state.outputBytes ?? 0, error: failureOf(error) });
}

/** Converts an error into a failure. The failure of a plan also names the step. */
function failureFrom(error: unknown): PlanCause["failure"] {
  const { step } = (typeof error === "object" && error !== null ? error : {}) as { readonly step?: unknown };
  return typeof step === "string" ? { ...failureOf(error), step } : failureOf(error);
}

function succeed(draft: Draft, index: number, state: UnitState): void {
  if (state.status === "failed") return fail(draft, index, state);
  draft.states[index] = state;
  draft.finished = [...draft.finished, index];
}

function fail(draft: Draft, index: number, state: UnitState): void {
  draft.states[index] = state;
  draft.finished = [...draft.finished, index];
  if (draft.onFailure === "stop") draft.cause ??= causeOf(draft, index);
}

function causeOf(draft: Draft, index: number): PlanCause {
  const error = draft.states[index]?.error ?? { code: "INTERNAL", message: "", retryable: false };
  const unit = draft.units[index] as Unit;
  const step = (error as PlanCause["failure"]).step;
  const name = "segment" in unit ? step : step === undefined ? unit.step.id : `${unit.step.id}.${step}`;
  return { kind: "failed", failure: { ...error, ...(name === undefined ? {} : { step: name }) } };
}

/**
 * Stops the plan. No further step starts, running steps are cancelled, and inner plans compensate their own steps. The plan waits for all of these
 * ends, so that no compensation runs beside a step.
 */
function stopAll(draft: Draft, orders: Order[]): void {
  draft.phase = "stopping";
  const reason = draft.cause?.failure.message ?? "";
  for (const [index, { status }] of draft.states.entries()) {
    const actor = `step.${index}`;
    if (status === "waiting")
      draft.states[index] =
        draft.cause?.kind === "cancelled" ? { status: "cancelled" } : { status: "skipped", blocked: true };
    if (status !== "running") continue;
    if (isPlan(draft.units[index] as Unit)) orders.push({ type: "send", actor, event: { type: "cancel", reason } });
    else orders.push({ type: "cancel", actor, reason });
  }
}

/** Undoes the succeeded units one after the other, the last first. The first unit that cannot be undone ends the compensation. */
function compensate(draft: Draft, orders: Order[]): void {
  while (draft.undone.length === 0) {
    if (draft.states.some(({ status }) => status === "compensating")) return;
    const index = nextToUndo(draft);
    if (index === undefined) break;
    const undoing = undoingOf(draft, index);
    if (undoing.kind === "failed") {
      draft.states[index] = {
        ...(draft.states[index] as UnitState),
        status: "compensation-failed",
        error: undoing.failure,
      };
      draft.undone = [idOf(draft.units[index] as Unit)];
      break;
    }
    draft.states[index] = { ...(draft.states[index] as UnitState), status: "compensating" };
    orders.push(undoing.order);
  }
  if (draft.undone.length > 0) leaveUndone(draft);
  close(draft, orders);
}

function undone(draft: Draft, index: number, outcome: Outcome): void {
  const state = draft.states[index] as UnitState;
  const report = outcome.kind === "error" && isReport(outcome.error) ? outcome.error : undefined;
  const isPart = isPlan(draft.units[index] as Unit) && state.held === true;
  const isUndone = isPart ? report !== undefined && report.undone === undefined : outcome.kind === "done";
  const { held: _, ...before } = state;
  const told = { ...(report?.rest && { rest: report.rest }), ...(report?.counts && { counts: report.counts }) };
  if (isUndone) {
    draft.states[index] = { ...before, ...told, status: "compensated" };
    return;
  }
  const error = outcome.kind === "error" ? failureOf(outcome.error) : undefined;
  draft.states[index] = {
    ...before,
    ...told,
    status: "compensation-failed",
    ...(error === undefined ? {} : { error }),
  };
  const unit = draft.units[index] as Unit;
  draft.undone = report?.undone === undefined ? [idOf(unit)] : namesIn(unit, report.undone);
}

/** Names the units that keep their effects because a later unit could not be undone. */
function leaveUndone(draft: Draft): void {
  const left = draft.finished
    .filter((index) => isUndoable(draft, index))
    .map((index) => idOf(draft.units[index] as Unit));
  draft.undone = [...draft.undone, ...left.toReversed()];
}

/** Returns the names of a unit's steps. The name of an inner plan's step begins with the id of the unit; a segment's steps are the plan's own. */
function namesIn(unit: Unit, steps: readonly string[]): readonly string[] {
  return "segment" in unit ? steps : steps.map((step) => `${unit.step.id}.${step}`);
}

/** Ends the plan as its cause says, and tells the held inner plans that they need not wait any longer. */
function close(draft: Draft, orders: Order[]): void {
  for (const [index, { held, gone }] of draft.states.entries())
    if (held === true && gone !== true) orders.push({ type: "send", actor: `step.${index}`, event: { type: CLOSE } });
  draft.phase = draft.undone.length > 0 ? "failed" : (draft.cause?.kind ?? "succeeded");
}
