import { PLAN } from "../base/built-in.ts";
import { sizeOf } from "../base/msgpack.ts";
import { readable } from "../base/plain.ts";
import type { MachineRecordState } from "../machines/machine-state.ts";
import type { Failure } from "../task/task-context.ts";
import type { ChildView, MachineView } from "../views/machine-view.ts";
import type { CheckedStep } from "./check.ts";
import type { StepStatus } from "./definition.ts";
import { idOf, type PlanState, type StepCounts, type Unit, type UnitState } from "./plan-state.ts";
import { countsOf, isReport } from "./report.ts";
import { payloadBytesOf } from "./start-step.ts";
import { leftBehind } from "./undo.ts";

/** The view shows outputs up to this size. */
const SHOWN_BYTES = 1_024;

/** A step of a plan as readers see it. */
export interface StepView {
  readonly id: string;
  readonly status: StepStatus;
  /** The driver of the step. A step has exactly one of `driver`, `machine` and `steps`. */
  readonly driver?: string;
  readonly machine?: string;
  /** The number of steps of an inner plan or a segment. */
  readonly steps?: number;
  readonly dependsOn?: readonly string[];
  /** The size of the payload, which the view omits. It is the size as sent, or the written size before the step starts. */
  readonly payloadBytes?: number;
  /** The running instance or task of the step. An inner plan that can still be undone keeps it until then. */
  readonly child?: string;
  /** The status of a task in the plan's record. */
  readonly task?: { readonly status: string; readonly attempt: number; readonly reason?: string };
  /** The inner plan's last report about its steps. */
  readonly counts?: StepCounts;
  /** The output, if it is short. A longer one is replaced with its size. */
  readonly output?: unknown;
  readonly outputBytes?: number;
  readonly error?: Failure;
}

/** The fields of a plan's view beside those of any instance. The view has no context, because that may be large. */
export interface PlanFields {
  readonly steps: readonly StepView[];
  /** The number of steps in each status. The steps of a segment count one by one. */
  readonly counts: StepCounts;
  /** The steps whose compensation has failed, or was not begun because another one had failed. */
  readonly undone?: readonly string[];
}

/** A plan as readers see it. */
export interface PlanView extends MachineView, PlanFields {}

/** Makes a plan's view from the view of its instance. */
export function describePlan(view: MachineView): PlanView {
  const { steps = [], counts = {} } = view as Partial<PlanFields>;
  return { ...view, steps, counts };
}

/** Returns the fields that a node adds to the view of a plan's instance. `children` are the running tasks and instances of the plan. */
export function planFields(state: MachineRecordState, children: readonly ChildView[]): PlanFields {
  const stored = readable(state.persisted.context) as PlanState;
  const plan = state.meta.status === "running" ? stored : leftBehind(stored);
  const actors = state.persisted.children as Readonly<Record<string, { snapshot?: { key?: number } }>> | undefined;
  const childOf = (actor: string): ChildView | undefined => {
    const key = actors?.[actor]?.snapshot?.key;
    if (key === undefined) return undefined;
    const id = state.meta.children[key]?.id ?? `${state.meta.id}~${key}`;
    return children.find((child) => child.id === id);
  };
  const steps = plan.units.map((unit, index) => {
    const own = plan.states[index] as UnitState;
    const child = own.status === "compensating" ? childOf(`undo.${index}`) : undefined;
    return describeUnit(unit, own, child ?? childOf(`step.${index}`));
  });
  const { output } = state.persisted;
  const own = plan.part === undefined || !isReport(output) ? output : output.output;
  const fields = {
    context: undefined,
    output: state.meta.status === "succeeded" ? own : undefined,
    steps,
    counts: countsOf(plan),
  };
  return plan.undone.length === 0 ? fields : { ...fields, undone: plan.undone };
}

function describeUnit(unit: Unit, state: UnitState, child: ChildView | undefined): StepView {
  const { status, counts, output, outputBytes = sizeOf(output), error } = state;
  const shown = output !== undefined && outputBytes <= SHOWN_BYTES;
  return {
    id: idOf(unit),
    status,
    ...("step" in unit ? describeStep(unit.step, state) : { steps: unit.segment.steps }),
    ...childFields(child),
    ...(counts === undefined ? {} : { counts }),
    ...(shown ? { output } : outputBytes > 0 ? { outputBytes } : {}),
    ...(error === undefined ? {} : { error }),
  };
}

function describeStep(step: CheckedStep, { payloadBytes }: UnitState): Partial<StepView> {
  const dependsOn = step.dependsOn === undefined ? {} : { dependsOn: step.dependsOn };
  if ("driver" in step)
    return { driver: step.driver, payloadBytes: payloadBytes ?? payloadBytesOf(step), ...dependsOn };
  const bytes = { payloadBytes: payloadBytes ?? sizeOf(step.input) };
  if ("machine" in step) return { machine: step.machine, ...bytes, ...dependsOn };
  return { machine: PLAN, ...bytes, ...dependsOn };
}

function childFields(child: ChildView | undefined): Partial<StepView> {
  if (child === undefined) return {};
  const { id, status, attempt = 0, reason } = child;
  if (status === undefined) return { child: id };
  return { child: id, task: { status, attempt, ...(reason === undefined ? {} : { reason }) } };
}
