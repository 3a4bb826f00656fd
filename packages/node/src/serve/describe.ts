import { isTerminal, type ActorSummary, type ChildView, type MachineView, type TaskView } from "@ergon/core";
import {
  TASK,
  describeMachine,
  describeTask,
  isMachineState,
  statusOf,
  summarizeMachine,
  summarizeTask,
  taskOf,
  type ActorState,
} from "@ergon/core/engine";

import type { LiveActor } from "../shard/actor.ts";
import type { Listed } from "./page.ts";

/** The status of an actor of any kind, as users see it. */
export function statusText(state: ActorState): string {
  return isMachineState(state) ? state.meta.status : statusOf(taskOf(state));
}

export function hasEnded(state: ActorState): boolean {
  return isMachineState(state) ? state.meta.status !== "running" : isTerminal(statusOf(taskOf(state)));
}

/** When it was submitted or started, epoch milliseconds. */
export function startOf(state: ActorState): number {
  return isMachineState(state) ? state.meta.startedAt : taskOf(state).scheduledAt;
}

/** When it ended, epoch milliseconds; `undefined` while it lives. */
export function endOf(state: ActorState): number | undefined {
  if (!hasEnded(state)) return undefined;
  const { endedAt, updatedAt } = isMachineState(state) ? state.meta : taskOf(state);
  return endedAt ?? updatedAt;
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
  return reason === undefined ? view : { ...view, reason };
}

/** An actor of any kind as filters of lists look at it. */
export function listed(state: ActorState): Listed {
  if (!isMachineState(state)) return taskOf(state);
  const { machine, meta, persisted } = state;
  return { ...meta, machine: machine.name, value: persisted.value };
}

/** An actor of any kind as lists show it; of an instance with the number of the tasks that are embedded in its record, and why one of them waits. */
export function summarize(state: ActorState, { reason, tasks = 0 }: { reason?: string; tasks?: number }): ActorSummary {
  const view = isMachineState(state) ? summarizeMachine(state, tasks) : summarizeTask(taskOf(state));
  return reason === undefined ? view : { ...view, reason };
}

/** Why the first of the tasks that are embedded in an instance's record that does not get on does not. */
export function embeddedReason(actor: LiveActor): string | undefined {
  for (const { committed } of actor.embedded?.values() ?? []) {
    const reason = committed === undefined ? undefined : taskOf(committed).reason;
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** The tasks that are embedded in an instance's record, as its readers see them. */
export function describeEmbedded(actor: LiveActor): ChildView[] {
  return [...(actor.embedded?.values() ?? [])].flatMap(({ id, committed: state }) => {
    if (state === undefined) return [];
    const task = taskOf(state);
    const { driver, attempt, reason } = task;
    return [
      { id, machine: TASK, driver, status: statusOf(task), attempt, ...(reason === undefined ? {} : { reason }) },
    ];
  });
}
