import type { PlanDefinition } from "../plan/definition.ts";
import type { ScheduleSpec } from "../schedule/spec.ts";
import type { ActorSummary, ListReply, ListRequest } from "../views/list.ts";
import type { MachineView } from "../views/machine-view.ts";
import type { TaskView } from "../views/task-view.ts";
import type { AgentView, BatchReply, BatchRequest, NodeView, ShardView } from "../wire/messages.ts";
import type { StartOptions } from "../wire/start.ts";
import type { TaskRequest } from "../wire/submit.ts";
import type { TaskResponse } from "./task-reply.ts";
import type { WaitOptions } from "./wait.ts";
import type { WatchOptions } from "./watch.ts";

// The interfaces of the SDK: the client, the handle of a task, and an instance.

/** The author of a decision about a task, and the reason. The record keeps both. */
export interface DecisionOptions {
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
}

export interface RetryOptions extends DecisionOptions {
  /** The new task's id. @defaultValue generated */
  readonly id?: string | undefined;
}

/** The layout of a namespace, and the owner of each shard. */
export interface ShardMap {
  readonly namespace: string;
  readonly buckets: number;
  readonly shards: readonly ShardView[];
}

/**
 * A client of one namespace. Every call is safe to repeat. The client retries errors of kind `unavailable` with growing pauses until
 * `timeoutMs` have passed, under the same id, so a task is stored once. Durations are milliseconds. All errors are
 * `ErgonError`s; docs/errors.md explains each `code`.
 */
export interface Client {
  /**
   * Stores a task: when it resolves, the task survives every crash, and its id finds it. The id is the idempotency key.
   * Throws `INVALID_…` and `UNKNOWN_OPTION` with an issue per fault, `ID_CONFLICT`, `PAYLOAD_TOO_LARGE`.
   */
  submit(request: TaskRequest): Promise<TaskHandle>;
  /** Submits a task and waits for the response, in one round trip if the task is short. Throws the errors of `submit` and `response`. */
  run(request: TaskRequest, options?: WaitOptions): Promise<TaskResponse>;
  /** Stores all of the tasks or none, and returns them in their order. Throws `BATCH_REJECTED` with an issue per fault. */
  batch(request: BatchRequest): Promise<BatchReply>;
  /** Throws `TASK_NOT_FOUND`, like every method that takes an id. */
  get(id: string): Promise<TaskView>;
  /** The task once it has ended, or as it is after `timeoutMs`. */
  wait(id: string, options?: WaitOptions): Promise<TaskView>;
  /** The exact bytes of the agent's response. Throws the task's failure, `TASK_CANCELLED`, or `REQUEST_TIMEOUT` after `timeoutMs`. */
  response(id: string, options?: WaitOptions): Promise<TaskResponse>;
  /** The task as it is, then every change of it, until it has ended. Throws `TASK_NOT_FOUND`. */
  watch(id: string, options?: WatchOptions): AsyncIterable<TaskView>;
  /** Requests a cancel: a running attempt first gets its `cancelGrace` to stop. Throws `TASK_ENDED`. */
  cancel(id: string, options?: DecisionOptions): Promise<TaskView>;
  /** Submits a failed or cancelled task again, as a new task whose `origin` is this one. Throws `TASK_NOT_FAILED`. */
  retry(id: string, options?: RetryOptions): Promise<TaskHandle>;
  /** Fails a live task by force, whatever its agent does. Throws `TASK_ENDED`. */
  end(id: string, options?: DecisionOptions): Promise<TaskView>;
  /**
   * Starts an instance of a machine: when it resolves, the instance survives every crash. The id is the idempotency key. Throws
   * `NO_NODE` when no node knows the machine, `MACHINE_FAILED` when it cannot start, `ID_CONFLICT`, `NOT_SERIALISABLE`.
   */
  start(machine: string, input?: unknown, options?: StartOptions): Promise<Instance>;
  /**
   * Adds a schedule, an instance of the machine `schedule`: pause, resume, trigger and update it by events of these names, `cancel` removes it.
   * The id is the idempotency key; it is free again when `retention` has passed after the schedule's end (default: ten seconds). Throws the errors
   * of `start`, and `INVALID_OPTION` or `UNKNOWN_OPTION` with an issue for each fault of the spec.
   */
  schedule(
    spec: ScheduleSpec & { readonly id?: string | undefined },
    options?: Omit<StartOptions, "id" | "version">,
  ): Promise<Instance>;
  /** Starts a plan: `start` of the machine `plan`. Throws `INVALID_…` and `UNKNOWN_OPTION` with an issue per fault. */
  plan(definition: PlanDefinition, options?: Omit<StartOptions, "version">): Promise<Instance>;
  /** An instance by its id, without a request. */
  instance(id: string): Instance;
  /** One page of the live tasks and instances; with `all`, of the ended ones too. Throws `INVALID_OPTION`, which names the field. */
  list(request?: ListRequest): Promise<ListReply>;
  /** The tasks and instances of every page of `list`, one by one. */
  listAll(request?: ListRequest): AsyncIterable<ActorSummary>;
  nodes(): Promise<readonly NodeView[]>;
  agents(): Promise<readonly AgentView[]>;
  shards(): Promise<ShardMap>;
  /** Ends watches and waits with an error; the bus stays open unless `connect` made it. Idempotent. */
  close(): Promise<void>;
}

/** A handle of one submitted task. {@link Client} has the same methods by id. */
export interface TaskHandle {
  readonly id: string;
  /** The task at the moment of the submit, or of its repetition. */
  readonly view: TaskView;
  get(): Promise<TaskView>;
  wait(options?: WaitOptions): Promise<TaskView>;
  response(options?: WaitOptions): Promise<TaskResponse>;
  watch(options?: WatchOptions): AsyncIterable<TaskView>;
  cancel(options?: DecisionOptions): Promise<TaskView>;
  retry(options?: RetryOptions): Promise<TaskHandle>;
  end(options?: DecisionOptions): Promise<TaskView>;
}

/** An event for an instance: a type, and the fields that its machine reads. Plain data. */
export interface InstanceEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** The goal of a wait: a state (or a parent of it), a tag, or, by default, the end. */
export interface Until {
  /** A state as its view names it: `paid`, `order.paid`. A parent state matches every state below it. */
  readonly state?: string | undefined;
  readonly tag?: string | undefined;
}

export interface SendOptions {
  /** The event's unique id: a repeated event with the same id applies once. @defaultValue a new id for each call */
  readonly eventId?: string | undefined;
}

/** The events that an instance takes in its present state. */
export interface AcceptedEvents {
  readonly id: string;
  readonly status: string;
  readonly value: unknown;
  /** Types of events, `*` for any. A guard may still refuse an event. */
  readonly events: readonly string[];
}

/** One instance of a machine. Every call is safe to repeat, and the client retries it. Throws `TASK_NOT_FOUND` if there is no such instance. */
export interface Instance {
  readonly id: string;
  get(): Promise<MachineView>;
  /**
   * Sends an event; resolves when its result is stored. The event applies once, however often the call is repeated under one `eventId`.
   * Throws `EVENT_NOT_ACCEPTED` with the events that the state takes, `NOT_SERIALISABLE`, `TASK_ENDED`.
   */
  send(event: InstanceEvent, options?: SendOptions): Promise<MachineView>;
  /** Sends an event, and waits for `until`. Throws the errors of `send`, and `REQUEST_TIMEOUT` after `timeoutMs`. */
  ask(event: InstanceEvent, options?: SendOptions & WaitOptions & Until): Promise<MachineView>;
  /** Waits until the instance has ended, or `until` holds. After `timeoutMs`, it returns the instance as it is. */
  wait(options?: WaitOptions & Until): Promise<MachineView>;
  /** The machine's output. Throws its failure, `TASK_CANCELLED`, or `REQUEST_TIMEOUT` after `timeoutMs`. */
  output(options?: WaitOptions): Promise<unknown>;
  /** The instance as it is, then each change, until it has ended. */
  watch(options?: WatchOptions): AsyncIterable<MachineView>;
  can(): Promise<AcceptedEvents>;
  /**
   * Migrates the instance to another version of its machine. Without a version, the target is the newest one that has a migration from the
   * instance's own; if there is none, the instance stays as it is. Throws `MIGRATION_FAILED`, `MACHINE_NOT_FOUND` and `TASK_ENDED`; the instance
   * then stays as it was.
   */
  migrate(version?: string): Promise<MachineView>;
  /** Sends the event `cancel` to a machine that takes it, and the machine decides; otherwise stops the instance. Throws `TASK_ENDED`. */
  cancel(options?: DecisionOptions): Promise<MachineView>;
  /**
   * Continues a failed or cancelled plan, as a new instance whose `origin` is this one. Succeeded steps do not run again.
   * Throws `TASK_NOT_FAILED`, also for machines that cannot be retried.
   */
  retry(options?: RetryOptions): Promise<Instance>;
  /** Stops the instance by force, as failed. Throws `TASK_ENDED`. */
  end(options?: DecisionOptions): Promise<MachineView>;
}
