import type { TaskRequest } from "../wire/submit.ts";

/** The modes of a plan, which set the order of its steps. */
export const planModes = ["sequence", "parallel", "graph"] as const;
export type PlanMode = (typeof planModes)[number];

/** The reactions of a plan to a failed step. */
export const failurePolicies = ["stop", "continue"] as const;
export type FailurePolicy = (typeof failurePolicies)[number];

/** A task in a plan. It has the options of a submit, except the id. Texts in its payload, arguments and resource may refer to steps. */
export type StepTask = Omit<TaskRequest, "id">;

/** The task that undoes a succeeded step. */
export type Compensation = StepTask;

interface StepBase {
  /** @defaultValue the step's position in its plan: "0", "1", … */
  readonly id?: string | undefined;
  /** The steps that must end before this one starts. They make the plan a graph. */
  readonly dependsOn?: readonly string[] | undefined;
  /** A JSON-logic rule over `{input, steps: {a: {status, output}}}`. The plan skips the step if the rule is not true. */
  readonly when?: unknown;
  /** The task that undoes the step if the plan fails or is cancelled later. */
  readonly compensate?: Compensation | undefined;
}

export interface TaskStep extends StepBase, StepTask {
  /** True gives the task its own id and record. @defaultValue the plan's `standalone` */
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

/** A plan as users write it in code, in JSON or in YAML. */
export interface PlanDefinition {
  /** The order of the steps. @defaultValue "sequence"; "graph" when a step has `dependsOn` */
  readonly mode?: PlanMode | undefined;
  /** The most steps that run at once. @defaultValue 100; in a sequence 1 */
  readonly limit?: number | undefined;
  /**
   * With `stop`, no further step starts after a failure, and the plan compensates succeeded steps. With `continue`, the other steps go on.
   * @defaultValue "stop"; in a parallel plan "continue"
   */
  readonly onFailure?: FailurePolicy | undefined;
  /** True gives the plan's tasks their own records. @defaultValue false */
  readonly standalone?: boolean | undefined;
  /** The value of the reference `${input}`. */
  readonly input?: unknown;
  /** The plan's output. Texts in it may refer to steps. @defaultValue the outputs by step, as far as they are kept */
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
  /** True if an earlier failure, and not its condition, caused a skipped step. */
  readonly blocked?: boolean;
}

/** A plan that continues another one, or a part of a plan, with the known results of its steps. */
export interface PlanContinuation {
  readonly definition: PlanDefinition;
  /** The results of steps in the definition, which do not run again, and of steps before it. The keys are the steps' ids. */
  readonly known: Readonly<Record<string, Known>>;
  /** The number of finished steps that the definition omits. */
  readonly done?: number;
  /** Present in a part of another plan. */
  readonly part?: Part;
}

/** The link from an inner plan to its outer plan. */
export interface Part {
  /** The inner plan's actor in the outer plan. */
  readonly actor: string;
  /** The steps of a segment to whose results others refer. The outer plan needs the whole output when the list is absent. */
  readonly exports?: readonly string[];
  /** The exported steps whose output is read as well. */
  readonly outputs?: readonly string[];
}

/**
 * The limits of plans. The check of a plan names the field of a value that is too large; a value that grows too large while the plan runs fails its
 * step. Sizes are bytes of MessagePack.
 */
export const planLimits = {
  steps: 10_000,
  /** The depth of plans within plans. */
  depth: 8,
  idLength: 64,
  limit: 1_000,
  defaultLimit: 100,
  inputBytes: 65_536,
  stepBytes: 262_144,
  /** The size of all outputs in one record to which something refers. */
  outputBytes: 262_144,
  /** The size of an output to which nothing refers, and the size of all such outputs in one record. A record drops outputs beyond them. */
  looseOutputBytes: 16_384,
  looseOutputsBytes: 65_536,
  /**
   * The size of a running large plan, which is the rest of its definition and the known results of its steps. A plan that began with a larger size
   * may keep that size.
   */
  planBytes: 900_000,
  /** The size of all payloads of tasks that run at once in one record. */
  runningBytes: 262_144,
  /** The number of steps in one segment. A plan with more steps is cut into segments with their own records. */
  segmentSteps: 100,
  segmentBytes: 131_072,
  /** The number of segments of a parallel plan that run at once. */
  segmentsAtOnce: 4,
  /** The operations of a condition. Each operator that runs counts as one, and so does each list item and each 16 characters of text that it makes. */
  conditionOperations: 20_000,
  /** The most steps that a failure names. */
  undoneNamed: 20,
} as const;

/** The options of {@link plan}, which are the definition without its steps. */
export type PlanOptions = Omit<PlanDefinition, "steps">;

/** Makes a plan's definition in code: `plan([{ driver: "reserve" }, { driver: "pay" }])`. The start of the plan checks it. */
export function plan(steps: readonly StepDefinition[], options: PlanOptions = {}): PlanDefinition {
  return { ...options, steps };
}
