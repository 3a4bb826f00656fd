import {
  all,
  anything,
  byKey,
  count,
  fields,
  flag,
  line,
  list,
  map,
  name,
  numberFrom,
  oneOf,
  optional,
  such,
  text,
  type Shape,
} from "../base/shape.ts";
import { failureShape } from "../task/task-shape.ts";
import { isStepId } from "./check-step.ts";
import type { Segment } from "./cut.ts";
import { failurePolicies, planModes, stepStatuses, type Known, type Part } from "./definition.ts";
import type { PlanCause, PlanState, UnitState } from "./plan-state.ts";

// This is the shape of a stored plan.

const stepId = such("a step's id", isStepId);
const status = oneOf(...stepStatuses);
const counts = byKey(count);
const known: Shape = byKey(fields<Known>({ status, output: anything, blocked: optional(flag) }));

const task = {
  driver: optional(name),
  text: optional(text),
  base64: optional(text),
  arguments: optional(byKey(text)),
  resource: optional(text),
  contentType: optional(line),
  payload: anything,
};

/** The fields of a step in the plan's input that the plan itself reads. The start of the step checks the other fields, and a fault fails the step. */
const step: Shape = fields({
  ...task,
  id: stepId,
  dependsOn: optional(list(text)),
  machine: optional(name),
  plan: optional((value) => (Array.isArray(value) ? undefined : map(value))),
  input: anything,
  standalone: optional(flag),
  compensate: optional(fields({ ...task, driver: name })),
});

const isOneThing = such("a step with one of driver, machine and plan", (value) => {
  const { driver, machine, plan } = value as Readonly<Record<string, unknown>>;
  return [driver, machine, plan].filter((kind) => kind !== undefined).length === 1;
});

const segment: Shape = fields<Segment>({
  id: text,
  steps: count,
  definition: optional(map),
  exports: list(text),
  outputs: list(text),
  uses: list(text),
});

const unit: Shape = all(map, (value) =>
  "segment" in (value as object) ? fields({ segment })(value) : fields({ step: all(step, isOneThing) })(value),
);

const unitState: Shape = fields<UnitState>({
  status,
  output: anything,
  outputBytes: optional(count),
  payloadBytes: optional(count),
  error: optional(failureShape),
  blocked: optional(flag),
  held: optional(flag),
  gone: optional(flag),
  counts: optional(counts),
  rest: optional(map),
});

const context: Shape = fields<PlanState>({
  mode: oneOf(...planModes),
  limit: numberFrom(1, Number.MAX_SAFE_INTEGER, true),
  onFailure: oneOf(...failurePolicies),
  standalone: flag,
  input: anything,
  output: anything,
  units: list(unit),
  states: list(unitState),
  known,
  kept: list(text),
  finished: list(count),
  room: count,
  done: count,
  part: optional(fields<Part>({ actor: text, exports: optional(list(text)), outputs: optional(list(text)) })),
  phase: oneOf("running", "stopping", "compensating", "held", "succeeded", "failed", "cancelled"),
  cause: optional(fields<PlanCause>({ kind: oneOf("failed", "cancelled"), failure: failureShape })),
  undone: list(text),
});

/** A unit and its state have the same index. */
const isWhole = such("a plan whose units each have a state", (value) => {
  const { units, states, finished } = value as PlanState;
  return units.length === states.length && finished.every((index) => index < units.length);
});

/** A plan's snapshot. */
export const planShape: Shape = fields({ context: all(context, isWhole) });
