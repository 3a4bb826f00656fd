import { sizeOf } from "../base/msgpack.ts";
import type { Failure } from "../task/task-context.ts";
import type { CheckedPlan, CheckedStep } from "./check.ts";
import { needsOf } from "./check.ts";
import { cut, type Segment } from "./cut.ts";
import { planLimits, type Known, type Part, type PlanContinuation, type StepStatus } from "./definition.ts";
import { knownIn } from "./known.ts";
import { referencesIn, stepOf } from "./references.ts";

/** Where a plan stands; each is a state of its machine. */
export type PlanPhase =
  | "running"
  /** It has failed or is cancelled; plans in it come to their ends. */
  | "stopping"
  | "compensating"
  /** For an inner plan: it is done, and waits for the decision whether it must be undone. */
  | "held"
  | "succeeded"
  | "failed"
  | "cancelled";

/** A unit of a plan: a step, or a segment of many steps with a record of its own. */
export type Unit = { readonly step: CheckedStep } | { readonly segment: Segment };

/** How many steps stand how. */
export type StepCounts = Partial<Record<StepStatus, number>>;

/** How a unit stands. */
export interface UnitState {
  readonly status: StepStatus;
  readonly output?: unknown;
  /** The size of an output that is not kept. */
  readonly outputBytes?: number;
  /** The size of the payload as it was sent. */
  readonly payloadBytes?: number;
  readonly error?: Failure;
  /** Skipped because of a failure before it. */
  readonly blocked?: true;
  /** Its plan is done and waits whether it is to be undone. */
  readonly held?: true;
  /** It was ended by force while it was held: it cannot be undone any more. */
  readonly gone?: true;
  /** For an inner plan: its last report about its steps. */
  readonly counts?: StepCounts;
  /** For a plan that has not succeeded: its rest. */
  readonly rest?: PlanContinuation;
}

/** Why a plan ends otherwise than well. */
export interface PlanCause {
  readonly kind: "failed" | "cancelled";
  readonly failure: Failure & { readonly step?: string };
}

/** A plan in its record: the context of its machine. */
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
  /** Steps whose output something refers to; `*`: it may be any. */
  readonly kept: readonly string[];
  /** Units that have run, in the order of their ends. */
  readonly finished: readonly number[];
  /** For a plan in segments: the largest size of their definitions and the known results of their steps together. */
  readonly room: number;
  /** Steps that were done before, and are not in it. */
  readonly done: number;
  readonly part: Part | undefined;
  readonly phase: PlanPhase;
  readonly cause: PlanCause | undefined;
  /** Steps whose compensation has failed, or was not begun because of that. */
  readonly undone: readonly string[];
}

const waiting: UnitState = { status: "waiting" };

/** A plan at its start. */
export function newPlan(
  checked: CheckedPlan,
  { part, done = 0 }: { part?: Part | undefined; done?: number },
): PlanState {
  const { mode, limit, onFailure, standalone, input, output, known } = checked;
  const pieces = part?.exports === undefined ? cut(checked) : undefined;
  const units = pieces?.segments.map((segment): Unit => ({ segment })) ?? checked.steps.map((step): Unit => ({ step }));
  const states = units.map((unit) => ("step" in unit ? stateOf(knownIn(known, unit.step.id)) : waiting));
  const finished = [...states.keys()].filter((index) => states[index]?.status === "succeeded");
  // A segment keeps what is wanted in itself; what a segment of its own hands on is in `known`.
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

/** Whether a unit is a plan, with an instance of its own. */
export function isPlan(unit: Unit): boolean {
  return "segment" in unit || "plan" in unit.step;
}

/** The steps that texts refer to. */
function stepsIn(value: unknown): string[] {
  return referencesIn(value).flatMap((path) => stepOf(path) ?? []);
}

/** A step of which something is known already is not run again. */
function stateOf(known: Known | undefined): UnitState {
  if (known === undefined || known.blocked === true) return waiting;
  const { status, output } = known;
  if (status !== "succeeded" && status !== "skipped" && status !== "compensation-failed") return waiting;
  return output === undefined ? { status } : { status, output };
}
