import { sizeOf } from "../base/msgpack.ts";
import type { Failure } from "../task/task-context.ts";
import type { CheckedPlan, CheckedStep } from "./check.ts";
import { needsOf } from "./check.ts";
import { cut, type Segment } from "./cut.ts";
import { planLimits, type Known, type Part, type PlanContinuation, type StepStatus } from "./definition.ts";
import { knownIn } from "./known.ts";
import { referencesIn, stepOf } from "./references.ts";

/** The phase of a plan. Each is a state of its machine. */
export type PlanPhase =
  | "running"
  /** The plan has failed or is cancelled, and waits for the end of its inner plans. */
  | "stopping"
  | "compensating"
  /** The inner plan is done, and waits for the decision whether it must undo itself. */
  | "held"
  | "succeeded"
  | "failed"
  | "cancelled";

/** A unit of a plan is a step, or a segment of many steps that has its own record. */
export type Unit = { readonly step: CheckedStep } | { readonly segment: Segment };

/** The number of steps in each status. */
export type StepCounts = Partial<Record<StepStatus, number>>;

/** The state of a unit. */
export interface UnitState {
  readonly status: StepStatus;
  readonly output?: unknown;
  /** The size of an output that is not kept. */
  readonly outputBytes?: number;
  /** The size of the payload as it was sent. */
  readonly payloadBytes?: number;
  readonly error?: Failure;
  /** True if an earlier failure caused the skip. */
  readonly blocked?: true;
  /** True if the unit's plan is done and waits for the decision whether it must undo itself. */
  readonly held?: true;
  /** True if the unit's plan was ended by force while it was held. Its steps can no longer be undone. */
  readonly gone?: true;
  /** The inner plan's last report about its steps. */
  readonly counts?: StepCounts;
  /** The rest of an inner plan that has not succeeded. */
  readonly rest?: PlanContinuation;
}

/** The cause of a plan's failure or cancel. */
export interface PlanCause {
  readonly kind: "failed" | "cancelled";
  readonly failure: Failure & { readonly step?: string };
}

/** A plan in its record, which is the context of its machine. */
export interface PlanState {
  readonly mode: CheckedPlan["mode"];
  readonly limit: number;
  readonly onFailure: CheckedPlan["onFailure"];
  readonly standalone: boolean;
  readonly input: unknown;
  readonly output: unknown;
  readonly units: readonly Unit[];
  readonly states: readonly UnitState[];
  /** The results of steps before this plan, and of steps in segments that have reported them. */
  readonly known: Readonly<Record<string, Known>>;
  /** The steps whose output something refers to. The id `*` stands for any step. */
  readonly kept: readonly string[];
  /** The units that have run, in the order of their ends. */
  readonly finished: readonly number[];
  /** The size limit for the definitions of the plan's segments and the known results of their steps together. */
  readonly room: number;
  /** The number of steps that finished before this plan, and are not in it. */
  readonly done: number;
  readonly part: Part | undefined;
  readonly phase: PlanPhase;
  readonly cause: PlanCause | undefined;
  /** The steps whose compensation has failed, or was not begun because another one had failed. */
  readonly undone: readonly string[];
}

const waiting: UnitState = { status: "waiting" };

/** Returns the state of a plan at its start. */
export function newPlan(
  checked: CheckedPlan,
  { part, done = 0 }: { part?: Part | undefined; done?: number },
): PlanState {
  const { mode, limit, onFailure, standalone, input, output, known } = checked;
  const pieces = part?.exports === undefined ? cut(checked) : undefined;
  const units = pieces?.segments.map((segment): Unit => ({ segment })) ?? checked.steps.map((step): Unit => ({ step }));
  const states = units.map((unit) => ("step" in unit ? stateOf(knownIn(known, unit.step.id)) : waiting));
  const finished = [...states.keys()].filter((index) => states[index]?.status === "succeeded");
  // A segment itself keeps the outputs that its steps read. `known` holds the outputs that one segment passes to others.
  const needed = pieces === undefined ? checked.steps.flatMap((step) => [...needsOf(step).outputs]) : [];
  const kept = [...new Set([...needed, ...stepsIn(output), ...(part?.outputs ?? [])])];
  return {
    ...{ mode, limit, onFailure, standalone, input, output, units, states, kept, finished, part },
    known: pieces === undefined ? known : pieces.known,
    room: Math.max(planLimits.planBytes, pieces === undefined ? 0 : sizeOf(units)),
    done: done + (pieces?.done ?? 0),
    phase: "running",
    cause: undefined,
    undone: [],
    ...(pieces === undefined ? {} : { mode: pieces.mode, limit: pieces.atOnce }),
  };
}

export function idOf(unit: Unit): string {
  return "step" in unit ? unit.step.id : unit.segment.id;
}

/** Returns true if a unit is a plan with its own instance. */
export function isPlan(unit: Unit): boolean {
  return "segment" in unit || "plan" in unit.step;
}

/** Returns the steps to which texts refer. */
function stepsIn(value: unknown): string[] {
  return referencesIn(value).flatMap((path) => stepOf(path) ?? []);
}

/** A step with a known result does not run again. */
function stateOf(known: Known | undefined): UnitState {
  if (known === undefined || known.blocked === true) return waiting;
  const { status, output } = known;
  if (status !== "succeeded" && status !== "skipped" && status !== "compensation-failed") return waiting;
  return output === undefined ? { status } : { status, output };
}
