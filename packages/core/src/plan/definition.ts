import type { TaskRequest } from "../wire/submit.ts";

/** How the steps of a plan follow each other. */
export const planModes = ["sequence", "parallel", "graph"] as const;
export type PlanMode = (typeof planModes)[number];

/** What a plan does when a step has failed. */
export const failurePolicies = ["stop", "continue"] as const;
export type FailurePolicy = (typeof failurePolicies)[number];

/** What can be said of a task in a plan: the options of a submit, but its id. Texts in its payload, arguments and resource may refer to steps. */
export type StepTask = Omit<TaskRequest, "id">;

/** What undoes a step that has succeeded. */
export type Compensation = StepTask;

interface StepBase {
  /** @defaultValue the step's place in its plan: "0", "1", … */
  readonly id?: string | undefined;
  /** Steps that must have ended before; their plan is a graph then. */
  readonly dependsOn?: readonly string[] | undefined;
  /** A JSON-logic rule over `{input, steps: {a: {status, output}}}`; when it is not true the step is skipped. */
  readonly when?: unknown;
  /** The task that undoes the step, when the plan fails or is cancelled after it. */
  readonly compensate?: Compensation | undefined;
}

export interface TaskStep extends StepBase, StepTask {
  /** A task with an id and a record of its own. @defaultValue the plan's `standalone` */
  readonly standalone?: boolean | undefined;
}

export interface MachineStep extends StepBase {
  readonly machine: string;
  /** The newest that the node knows when absent. */
  readonly version?: string | undefined;
  readonly input?: unknown;
}

export interface PlanStep extends StepBase {
  readonly plan: PlanDefinition | PlanContinuation | readonly StepDefinition[];
  /** The inner plan's input, in place of its own. */
  readonly input?: unknown;
}

export type StepDefinition = TaskStep | MachineStep | PlanStep;

/** A plan as users write it: in code, in JSON or in YAML. */
export interface PlanDefinition {
  /** @defaultValue "sequence"; "graph" when a step has `dependsOn` */
  readonly mode?: PlanMode | undefined;
  /** Most steps that run at once. @defaultValue 100; of a sequence 1 */
  readonly limit?: number | undefined;
  /** `stop`: no further step is started, and what has succeeded is compensated. `continue`: failures are isolated. @defaultValue "stop"; of a parallel plan "continue" */
  readonly onFailure?: FailurePolicy | undefined;
  /** Whether its tasks have records of their own. @defaultValue false */
  readonly standalone?: boolean | undefined;
  /** What steps refer to as `${input}`. */
  readonly input?: unknown;
  /** What the plan's output is; texts in it may refer to steps. @defaultValue the outputs by step, as far as they are kept */
  readonly output?: unknown;
  readonly steps: readonly StepDefinition[];
}

/** How a step stands. */
export const stepStatuses = [
  "waiting",
  "running",
  "succeeded",
  "failed",
  "skipped",
  "cancelled",
  "compensating",
  "compensated",
  "compensation-failed",
] as const;
export type StepStatus = (typeof stepStatuses)[number];

/** What later steps can know of an earlier one. */
export interface Known {
  readonly status: StepStatus;
  readonly output?: unknown;
  /** Of a step that was skipped: because of a failure before it, and not by its condition. */
  readonly blocked?: boolean;
}

/** A plan that goes on where another has stopped, or a part of one: what is known of steps comes with it. */
export interface PlanContinuation {
  readonly definition: PlanDefinition;
  /** By step: of steps in the definition, which are not run again, and of steps before it. */
  readonly known: Readonly<Record<string, Known>>;
  /** Steps that are done and left out of the definition. */
  readonly done?: number;
  /** Of a part of another plan. */
  readonly part?: Part;
}

/** How a plan that is a step of another one answers to that. */
export interface Part {
  /** Its actor in the other plan. */
  readonly actor: string;
  /** Of a segment: steps whose outcome others refer to. Absent: its output is wanted as a whole. */
  readonly exports?: readonly string[];
  /** Those of them whose output is wanted. */
  readonly outputs?: readonly string[];
}

/** Bounds of plans; what is larger is refused by the name of its field, or fails its step. Sizes are bytes of MessagePack. */
export const planLimits = {
  steps: 10_000,
  /** Plans within plans. */
  depth: 8,
  idLength: 64,
  limit: 1_000,
  defaultLimit: 100,
  inputBytes: 65_536,
  stepBytes: 262_144,
  /** Of the outputs that one record keeps because something refers to them. */
  outputBytes: 262_144,
  /** Of outputs that nothing refers to: kept up to these sizes, each and together. */
  looseOutputBytes: 16_384,
  looseOutputsBytes: 65_536,
  /** Of a large plan, once it has begun: what is left of its definition, and what is known of steps; or as much as it began with. */
  planBytes: 900_000,
  /** Of the payloads of tasks that run at once in one record. */
  runningBytes: 262_144,
  /** A plan with more is cut into segments with records of their own. */
  segmentSteps: 100,
  segmentBytes: 131_072,
  /** Segments of a parallel plan that run at once. */
  segmentsAtOnce: 4,
  /** What a condition may take: each operator that is run, each item of a list and each 16 characters of a text that it makes. */
  conditionOperations: 20_000,
  /** Steps that a failure names. */
  undoneNamed: 20,
} as const;

/** Options of {@link plan}: everything of a definition but its steps. */
export type PlanOptions = Omit<PlanDefinition, "steps">;

/** A plan's definition in code: `plan([{ driver: "reserve" }, { driver: "pay" }])`. Nothing is checked before it is started. */
export function plan(steps: readonly StepDefinition[], options: PlanOptions = {}): PlanDefinition {
  return { ...options, steps };
}
