import { PLAN } from "../base/built-in.ts";
import { isErgonError, messageOf } from "../base/errors.ts";
import { sizeOf } from "../base/msgpack.ts";
import type { Work } from "../coordinator/work.ts";
import type { Failure } from "../task/task-context.ts";
import type { TaskRequest } from "../wire/submit.ts";
import type { CheckedStep } from "./check.ts";
import { isContinuation } from "./check.ts";
import { holds } from "./condition.ts";
import type { Segment } from "./cut.ts";
import { planLimits, type Known, type PlanContinuation, type PlanDefinition, type StepTask } from "./definition.ts";
import { knownIn } from "./known.ts";
import { idOf, type PlanState, type Unit, type UnitState } from "./plan-state.ts";
import { resolveReferences, type Values } from "./references.ts";

/** The version of the machine that runs plans and their inner plans. */
export const PLAN_VERSION = "1";

/** The result of a step's turn. */
export type Begun =
  | { readonly kind: "start"; readonly work: Work; readonly state: UnitState; readonly unit?: Unit }
  | { readonly kind: "skip"; readonly state: UnitState }
  | { readonly kind: "failed"; readonly failure: Failure }
  /** The step must wait, because the record has no room for it beside the running steps. */
  | { readonly kind: "later" };

/** The work that a unit starts, with every reference replaced by its value. */
export function workOf(plan: PlanState, index: number): Begun {
  const unit = plan.units[index] as Unit;
  if ("segment" in unit) return segmentWork(plan, unit.segment, index);
  const { step } = unit;
  try {
    if (step.when !== undefined && !holds(step.when, factsOf(plan)))
      return { kind: "skip", state: { status: "skipped" } };
    return stepWork(plan, step, index);
  } catch (error) {
    return { kind: "failed", failure: failureAt(error) };
  }
}

function stepWork(plan: PlanState, step: CheckedStep, index: number): Begun {
  const values = valuesOf(plan);
  if ("driver" in step) {
    const { id: _, dependsOn: _d, when: _w, compensate: _c, standalone = plan.standalone, ...given } = step;
    const task = resolveTask(given, values);
    const payloadBytes = payloadBytesOf(task);
    const beside = standalone ? 0 : runningBytes(plan);
    if (payloadBytes > planLimits.stepBytes) return tooLarge("payload", payloadBytes, planLimits.stepBytes);
    if (beside > 0 && beside + payloadBytes > planLimits.runningBytes) return { kind: "later" };
    return { kind: "start", work: { kind: "task", task, standalone }, state: { status: "running", payloadBytes } };
  }
  const input = resolveReferences(step.input, values);
  const payloadBytes = sizeOf(input);
  if (payloadBytes > planLimits.stepBytes) return tooLarge("input", payloadBytes, planLimits.stepBytes);
  const state: UnitState = { status: "running", payloadBytes };
  if ("machine" in step) {
    const { machine, version } = step;
    return { kind: "start", work: { kind: "machine", machine, version, input }, state };
  }
  const inner = continuationOf(step.plan);
  const definition = input === undefined ? inner.definition : { ...inner.definition, input };
  const part = { actor: `step.${index}` };
  return {
    kind: "start",
    work: { kind: "machine", machine: PLAN, version: PLAN_VERSION, input: { ...inner, definition, part } },
    state,
  };
}

/** Makes the work of a segment. The segment's definition moves from this record to the segment's own. */
function segmentWork(plan: PlanState, segment: Segment, index: number): Begun {
  const { definition, ...rest } = segment;
  if (definition === undefined) return { kind: "failed", failure: failureAt(new Error("its steps are not known")) };
  const { uses, exports, outputs } = rest;
  const inside = definition.steps.map(({ id = "" }) => id);
  const wanted = new Set(uses.includes("*") ? Object.keys(plan.known) : [...uses, ...inside]);
  const known = Object.fromEntries(Object.entries(plan.known).filter(([id]) => wanted.has(id)));
  const input: PlanContinuation = { definition, known, part: { actor: `step.${index}`, exports, outputs } };
  return {
    kind: "start",
    work: { kind: "machine", machine: PLAN, version: PLAN_VERSION, input },
    state: { status: "running" },
    unit: { segment: rest },
  };
}

/** Converts each form of a plan to a continuation. */
export function continuationOf(plan: unknown): PlanContinuation {
  if (isContinuation(plan)) return plan;
  const definition = Array.isArray(plan) ? { steps: plan } : plan;
  return { definition: definition as PlanDefinition, known: {} };
}

/** Returns a task with its references replaced. Throws when a reference leads to no value. */
export function resolveTask(task: StepTask, values: Values): TaskRequest {
  const { payload, text, arguments: given, resource } = task;
  const texts =
    given === undefined ? undefined : Object.entries(given).map(([name, value]) => [name, textOf(value, values)]);
  return {
    ...task,
    ...(payload === undefined || payload instanceof Uint8Array ? {} : { payload: resolveReferences(payload, values) }),
    ...(text === undefined ? {} : { text: textOf(text, values) }),
    ...(resource === undefined ? {} : { resource: textOf(resource, values) }),
    ...(texts === undefined ? {} : { arguments: Object.fromEntries(texts) as Record<string, string> }),
  };
}

function textOf(text: string, values: Values): string {
  const value = resolveReferences(text, values);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Returns the size of a task's payload as it is sent, in bytes. */
export function payloadBytesOf({ payload, text, base64 }: StepTask): number {
  if (payload instanceof Uint8Array) return payload.length;
  if (text !== undefined) return Buffer.byteLength(text);
  if (base64 !== undefined) return Buffer.byteLength(base64, "base64");
  return payload === undefined ? 0 : Buffer.byteLength(JSON.stringify(payload));
}

/** Returns the values to which references can lead. */
export function valuesOf(plan: PlanState, otherwise?: null): Values {
  const places = new Map(plan.units.map((unit, index) => [idOf(unit), index]));
  const step = (id: string): Known | undefined => {
    const index = places.get(id);
    return index === undefined ? knownIn(plan.known, id) : knownOf(plan.states[index]);
  };
  const values = { input: plan.input, step, room: { left: 2 * planLimits.stepBytes } };
  return otherwise === undefined ? values : { ...values, otherwise };
}

/** Returns the known result of a unit, as other units see it. */
export function knownOf(state: UnitState | undefined): Known | undefined {
  if (state === undefined) return undefined;
  const { status, output, blocked } = state;
  return { status, ...(output === undefined ? {} : { output }), ...(blocked === true ? { blocked } : {}) };
}

/** Returns the data that a condition can read. */
function factsOf(plan: PlanState): { input: unknown; steps: Record<string, Known> } {
  const steps: Record<string, Known> = { ...plan.known };
  for (const [index, unit] of plan.units.entries()) {
    const known = knownOf(plan.states[index]);
    if (known !== undefined) steps[idOf(unit)] = known;
  }
  return { input: plan.input, steps };
}

/**
 * Returns the state of a unit that has succeeded, with its output as far as the record keeps it. An output that is too large and that something
 * refers to fails the step, although its work is done, because the plan must not lose it silently.
 */
export function fitOutput(plan: PlanState, index: number, output: unknown): UnitState {
  const { payloadBytes } = plan.states[index] ?? {};
  const state: UnitState = { status: "succeeded", ...(payloadBytes === undefined ? {} : { payloadBytes }) };
  const bytes = sizeOf(output);
  if (output === undefined || bytes === 0) return state;
  const isKept = plan.kept.includes("*") || plan.kept.includes(idOf(plan.units[index] as Unit));
  const beside = keptBytes(plan, isKept);
  if (!isKept) {
    const fits = bytes <= planLimits.looseOutputBytes && beside + bytes <= planLimits.looseOutputsBytes;
    return fits ? { ...state, output } : { ...state, outputBytes: bytes };
  }
  if (beside + bytes <= planLimits.outputBytes) return { ...state, output };
  const { failure } = tooLarge("output", beside + bytes, planLimits.outputBytes);
  return { ...state, status: "failed", outputBytes: bytes, error: failure };
}

function keptBytes(plan: PlanState, isKept: boolean): number {
  let bytes = isKept ? sizeOf(plan.known) : 0;
  for (const [index, { output }] of plan.states.entries()) {
    if (output === undefined) continue;
    const counts = plan.kept.includes("*") || plan.kept.includes(idOf(plan.units[index] as Unit));
    if (counts === isKept) bytes += sizeOf(output);
  }
  return bytes;
}

function runningBytes(plan: PlanState): number {
  let bytes = 0;
  for (const { status, payloadBytes = 0 } of plan.states) if (status === "running") bytes += payloadBytes;
  return bytes;
}

/** Returns the reason why a plan's record cannot hold a segment's results, or `undefined` if it can. */
export function faultOfKnown(plan: PlanState, known: PlanState["known"]): Failure | undefined {
  const bytes = sizeOf(known) + sizeOf(plan.units);
  return bytes <= plan.room ? undefined : tooLarge("output", bytes, plan.room).failure;
}

function tooLarge(what: string, bytes: number, most: number): { readonly kind: "failed"; readonly failure: Failure } {
  const message = `the step's ${what} has ${bytes} bytes, with what is kept beside it; at most ${most} fit into a plan: store it elsewhere and hand on its place`;
  const code = what === "output" ? "RESPONSE_TOO_LARGE" : "PAYLOAD_TOO_LARGE";
  return { kind: "failed", failure: { code, message, retryable: false } };
}

/** Converts the error at the start of a step into its failure. */
export function failureAt(error: unknown): Failure {
  const code = isErgonError(error) ? error.code : "INVALID_OPTION";
  return { code, message: messageOf(error).slice(0, 1_024), retryable: false };
}
