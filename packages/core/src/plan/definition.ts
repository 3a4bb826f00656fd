import type { TaskRequest } from "../wire/submit.ts";

/** The order of a plan's steps. */
export const planModes = ["sequence", "parallel", "graph"] as const;
export type PlanMode = (typeof planModes)[number];

/** The reaction of a plan to a failed step. */
export const failurePolicies = ["stop", "continue"] as const;
export type FailurePolicy = (typeof failurePolicies)[number];

/** A task in a plan: the options of a submit, except the id. Texts in its payload, arguments and resource may refer to steps. */
export type StepTask = Omit<TaskRequest, "id">;

/** The task that undoes a succeeded step. */
export type Compensation = StepTask;

interface StepBase {
  /** @defaultValue the step's position in its plan: "0", "1", … */
  readonly id?: string | undefined;
  /** Steps that must be done before this one. The plan is then a graph. */
  readonly dependsOn?: readonly string[] | undefined;
  /** A JSON-logic rule over `{input, steps: {a: {status, output}}}`; if it is not true, the step is skipped. */
  readonly when?: unknown;
  /** The task that undoes the step if the plan fails or is cancelled later. */
  readonly compensate?: Compensation | undefined;
}

export interface TaskStep extends StepBase, StepTask {
  /** A task with an id and a record of its own. @defaultValue the plan's `standalone` */
  readonly standalone?: boolean | undefined;
}

export interface MachineStep extends StepBase {
  readonly machine: string;
  /** The version of the machine. @defaultValue the newest that the node knows */
  readonly version?: string | undefined;
  readonly input?: unknown;
}

export interface PlanStep extends StepBase {
  readonly plan: PlanDefinition | PlanContinuation | readonly StepDefinition[];
  /** The inner plan's input. It replaces the input in the inner plan's definition. */
  readonly input?: unknown;
}

export type StepDefinition = TaskStep | MachineStep | PlanStep;

/** A plan as users write it: in code, in JSON or in YAML. */
export interface PlanDefinition {
  /** @defaultValue "sequence"; "graph" when a step has `dependsOn` */
  readonly mode?: PlanMode | undefined;
  /** The most steps that run at once. @defaultValue 100; in a sequence 1 */
  readonly limit?: number | undefined;
  /** `stop`: no further step starts, and succeeded steps are compensated. `continue`: failures are isolated. @defaultValue "stop"; in a parallel plan "continue" */
  readonly onFailure?: FailurePolicy | undefined;
  /** Whether the plan's tasks have records of their own. @defaultValue false */
  readonly standalone?: boolean | undefined;
  /** The value of the reference `${input}`. */
  readonly input?: unknown;
  /** The plan's output; texts in it may refer to steps. @defaultValue the outputs by step, as far as they are kept */
  readonly output?: unknown;
  readonly steps: readonly StepDefinition[];
}

/** The status of a step. */
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

/** The result of a step, as later steps see it. */
export interface Known {
  readonly status: StepStatus;
  readonly output?: unknown;
  /** Whether a skipped step was skipped because of an earlier failure, and not by its condition. */
  readonly blocked?: boolean;
}

/** A plan that continues another one, or a part of a plan, with the known results of its steps. */
export interface PlanContinuation {
  readonly definition: PlanDefinition;
  /** Results by step: for steps in the definition, which do not run again, and for steps before it. */
  readonly known: Readonly<Record<string, Known>>;
  /** Steps that are done, and left out of the definition. */
  readonly done?: number;
  /** Present in a part of another plan. */
  readonly part?: Part;
}

/** The link from an inner plan to its outer plan. */
export interface Part {
  /** The inner plan's actor in the outer plan. */
  readonly actor: string;
  /** In a segment: the steps to whose results others refer. Absent: the outer plan needs the output as a whole. */
  readonly exports?: readonly string[];
  /** The steps among these whose output is needed. */
  readonly outputs?: readonly string[];
}

/** The limits of plans. A larger value is refused by the name of its field, or fails its step. Sizes are bytes of MessagePack. */
export const planLimits = {
  steps: 10_000,
  /** Plans within plans. */
  depth: 8,
  idLength: 64,
  limit: 1_000,
  defaultLimit: 100,
  inputBytes: 65_536,
  stepBytes: 262_144,
  /** All outputs in one record to which something refers. */
  outputBytes: 262_144,
  /** Outputs to which nothing refers: a record keeps them up to these sizes, each and together. */
  looseOutputBytes: 16_384,
  looseOutputsBytes: 65_536,
  /** A running large plan: the rest of its definition and the known results of steps, or the size with which it began. */
  planBytes: 900_000,
  /** All payloads of tasks that run at once in one record. */
  runningBytes: 262_144,
  /** A plan with more steps is cut into segments with records of their own. */
  segmentSteps: 100,
  segmentBytes: 131_072,
  /** Segments of a parallel plan that run at once. */
  segmentsAtOnce: 4,
  /** The operations of a condition: each operator that runs, and each item of a list and each 16 characters of a text that it makes. */
  conditionOperations: 20_000,
  /** The most steps that a failure names. */
  undoneNamed: 20,
} as const;

/** Options of {@link plan}: the definition without its steps. */
export type PlanOptions = Omit<PlanDefinition, "steps">;

/** A plan's definition in code: `plan([{ driver: "reserve" }, { driver: "pay" }])`. The checks happen at its start. */
export function plan(steps: readonly StepDefinition[], options: PlanOptions = {}): PlanDefinition {
  return { ...options, steps };
}
