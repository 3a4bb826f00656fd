import { TASK } from "../base/built-in.ts";
import { isoTime } from "../base/clock.ts";
import { readable } from "../base/plain.ts";
import type { MachineStatus } from "../machines/machine-meta.ts";
import type { MachineRecordState } from "../machines/machine-state.ts";
import { stateText } from "../machines/machine-state.ts";
import type { Failure } from "../task/task-context.ts";

/**
 * An instance of a machine as readers see it, over JSON and in the SDK: the fields that all instances have. A built-in machine may add fields and leave
 * `context` out; the reader of its kind knows them (`describePlan`, `describeSchedule`). Times are ISO 8601 in UTC.
 */
export interface MachineView {
  readonly id: string;
  readonly machine: string;
  readonly version: string;
  readonly status: MachineStatus;
  /** XState's state value. */
  readonly value: unknown;
  /** The same as one text, as lists show it and filter by it: `paying`, `order.paying`, `{a.x, b.y}`. */
  readonly state: string;
  /** The tags of the states that it is in, and the tags that it was started with. */
  readonly stateTags: readonly string[];
  readonly tags?: readonly string[];
  readonly correlationId?: string;
  readonly context?: unknown;
  readonly output?: unknown;
  readonly failure?: Failure;
  /** Why it ended as it did. */
  readonly reason?: string;
  readonly startedAt: string;
  readonly updatedAt: string;
  readonly endedAt?: string;
  readonly durationMs?: number;
  /** The instance, or the task's, that it is a child of. */
  readonly parent?: string;
  readonly origin?: string;
  /** Durable children that have not ended. */
  readonly children: readonly ChildView[];
  /** When its next timer is due. */
  readonly nextTimerAt?: string;
  readonly history: readonly { readonly at: string; readonly state: string; readonly reason?: string }[];
}

/** An instance as lists show it: without what may be large, the number of its children in their place. */
export interface InstanceSummary extends Omit<MachineView, "value" | "context" | "output" | "children" | "history"> {
  readonly children: number;
}

export interface ChildView {
  readonly id: string;
  /** `task`, or the name of the child's machine. */
  readonly machine: string;
  /** For a task in the record of its parent: its driver, and its status. */
  readonly driver?: string;
  readonly status?: string;
  readonly attempt?: number;
  readonly reason?: string;
}

/** Returns true if a view, or a line of a list, shows an instance of a user's machine, and false if it shows a task. */
export function isInstance<T extends { readonly machine: string }>(
  view: T,
): view is Exclude<T, { readonly machine: "task" }> {
  return view.machine !== TASK;
}

/** Describes an instance for a list. */
export function summarizeMachine(state: MachineRecordState, tasks: number): InstanceSummary {
  const { value: _, context: __, output: ___, history: ____, children, ...summary } = describeAny(state, []);
  return { ...summary, children: children.length + tasks };
}

/** Describes an instance for readers. `tasks`: those that are embedded in its record. */
export function describeMachine(state: MachineRecordState, tasks: readonly ChildView[] = []): MachineView {
  const view = describeAny(state, tasks);
  return { ...view, ...state.machine.describe?.(state, view.children) };
}

function describeAny(state: MachineRecordState, tasks: readonly ChildView[]): MachineView {
  const { machine, persisted, meta, timers } = state;
  const { startedAt, updatedAt, endedAt, parent } = meta;
  const view: MachineView = {
    id: meta.id,
    machine: machine.name,
    version: machine.version,
    status: meta.status,
    value: persisted.value,
    state: stateText(persisted.value),
    stateTags: meta.stateTags,
    context: readable(persisted.context),
    output: readable(persisted.output),
    startedAt: isoTime(startedAt),
    updatedAt: isoTime(updatedAt),
    children: [...tasks, ...Object.values(meta.children)],
    history: meta.history.map(([at, text, reason]) => ({
      at: isoTime(at),
      state: text,
      ...(reason === undefined ? {} : { reason }),
    })),
  };
  const dues = timers.map((timer) => timer.due);
  const due = dues.length === 0 ? undefined : isoTime(Math.min(...dues));
  const more = {
    tags: meta.tags,
    correlationId: meta.correlationId,
    failure: meta.failure,
    reason: meta.reason,
    endedAt: endedAt === undefined ? undefined : isoTime(endedAt),
    durationMs: endedAt === undefined ? undefined : endedAt - startedAt,
    parent: parent?.id,
    origin: meta.origin,
    nextTimerAt: due,
  };
  return { ...view, ...Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined)) };
}
