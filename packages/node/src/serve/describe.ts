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

/** The time of the submit or start, in epoch milliseconds. */
export function startOf(state: ActorState): number {
  return isMachineState(state) ? state.meta.startedAt : taskOf(state).scheduledAt;
}

/** The time of the end in epoch milliseconds, or `undefined` while the actor lives. */
export function endOf(state: ActorState): number | undefined {
  if (!hasEnded(state)) return undefined;
  const { endedAt, updatedAt } = isMachineState(state) ? state.meta : taskOf(state);
  return endedAt ?? updatedAt;
}

export function idOf(state: ActorState): string {
  return isMachineState(state) ? state.meta.id : taskOf(state).id;
}

/** The facts about a live actor that its stored state does not contain. */
export interface Extra {
  readonly progress?: unknown;
  readonly reason?: string | undefined;
  /** The tasks that are embedded in the record of an instance. */
  readonly tasks?: readonly ChildView[];
}

/** Describes an actor of any kind for readers. */
export function describe(state: ActorState, { progress, reason, tasks }: Extra = {}): TaskView | MachineView {
  if (isMachineState(state)) return describeMachine(state, tasks);
  const view = describeTask(taskOf(state), progress);
  return reason === undefined ? view : { ...view, reason };
}

/** Describes an actor of any kind for the filters of lists. */
export function listed(state: ActorState): Listed {
  if (!isMachineState(state)) return taskOf(state);
  const { machine, meta, persisted } = state;
  return { ...meta, machine: machine.name, value: persisted.value };
}

/**
 * Describes an actor of any kind for lists. An instance also shows the number of the tasks that are embedded in its record, and the reason why one of
 * them waits.
 */
export function summarize(state: ActorState, { reason, tasks = 0 }: { reason?: string; tasks?: number }): ActorSummary {
  const view = isMachineState(state) ? summarizeMachine(state, tasks) : summarizeTask(taskOf(state));
  return reason === undefined ? view : { ...view, reason };
}

/** Returns the reason of the first waiting task that is embedded in an instance's record. */
export function embeddedReason(actor: LiveActor): string | undefined {
  for (const { committed } of actor.embedded?.values() ?? []) {
    const reason = committed === undefined ? undefined : taskOf(committed).reason;
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** Describes the tasks that are embedded in an instance's record for its readers. */
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
