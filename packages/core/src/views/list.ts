import type { MachineStatus } from "../machines/machine-meta.ts";
import { taskStatuses, type TaskStatus } from "../task/status.ts";
import type { InstanceSummary } from "./machine-view.ts";
import type { TaskSummary } from "./task-view.ts";

/** The statuses that a list may be asked for: a task's, and `running` of an instance, which ends as a task does. */
export const listStatuses: readonly (TaskStatus | MachineStatus)[] = [...taskStatuses, "running"];

/** The body of `cluster.list`. Live actors come first, newest first; ties by id. Without filters, the list has tasks and instances. */
export interface ListRequest {
  /** One of `listStatuses`; any other is refused. */
  readonly status?: string;
  /** Only tasks of this driver. */
  readonly driver?: string;
  /** Only instances of this machine; `task` for tasks alone. */
  readonly machine?: string;
  /** Only instances in this state, or in one below it: `paid`, `order.paid`. */
  readonly state?: string;
  /** A tag that the task or instance was given, or one of a state that the instance is in. */
  readonly tag?: string;
  readonly correlationId?: string;
  /** Ended tasks too, as long as they are retained. */
  readonly all?: boolean;
  /** The most tasks on a page: 1 to 1,000; 50 when absent. A page of what is large may hold fewer. */
  readonly limit?: number;
  /** From the reply before. */
  readonly cursor?: string;
}

/** A line of a list; `isInstance` tells which. */
export type ActorSummary = TaskSummary | InstanceSummary;

export interface ListReply {
  readonly tasks: readonly ActorSummary[];
  /** Where the next page begins; only its absence says that this was the last. */
  readonly cursor?: string;
  /** Shards that nobody answered for: their tasks are missing here. */
  readonly missingShards?: readonly number[];
}
