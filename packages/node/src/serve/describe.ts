import {
  describeMachine,
  describeTask,
  isMachineState,
  isTerminal,
  statusOf,
  type ActorState,
  type ChildView,
  type MachineView,
  type TaskView,
} from "@ergon/core";

import { taskOf } from "../dispatch/task-state.ts";
import type { LiveActor } from "../shard/actor.ts";

/** The status of an actor of any kind, as users see it. */
export function statusText(state: ActorState): string {
  return isMachineState(state) ? state.meta.status : statusOf(taskOf(state));
}

export function hasEnded(state: ActorState): boolean {
  return isMachineState(state) ? state.meta.status !== "running" : isTerminal(statusOf(taskOf(state)));
}

export function idOf(state: ActorState): string {
  return isMachineState(state) ? state.meta.id : taskOf(state).id;
}

/** What is said of a live actor that is not in its stored state. */
export interface Extra {
  readonly progress?: unknown;
  readonly reason?: string | undefined;
  /** Of an instance: the tasks that are embedded in its record. */
  readonly tasks?: readonly ChildView[];
}

/** An actor of any kind as readers see it. */
export function describe(state: ActorState, { progress, reason, tasks }: Extra = {}): TaskView | MachineView {
  if (isMachineState(state)) return describeMachine(state, tasks);
  const view = describeTask(taskOf(state), progress);
  return reason === undefined || view.reason !== undefined ? view : { ...view, reason };
}

/** The tasks that are embedded in an instance's record, as its readers see them. */
export function describeEmbedded(actor: LiveActor): ChildView[] {
  return [...(actor.embedded?.values() ?? [])].flatMap(({ id, committed: state }) => {
    if (state === undefined) return [];
    const task = taskOf(state);
    const { driver, attempt, reason } = task;
    return [
      { id, machine: "task", driver, status: statusOf(task), attempt, ...(reason === undefined ? {} : { reason }) },
    ];
  });
}
