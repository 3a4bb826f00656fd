import type { Failure } from "../task/task-context.ts";
import type { Schedule } from "./spec.ts";
import { beginOf, nextDue, startTime, timetableOf, type Timetable } from "./times.ts";

/** A run that has not ended. Times are epoch milliseconds. */
export interface Run {
  readonly id: string;
  /** The due time of the run. It is absent in a run that a client has triggered. */
  readonly due?: number | undefined;
  readonly startedAt: number;
  /** True if the schedule has cancelled the run because a later due time has come. */
  readonly cancelling?: boolean | undefined;
}

export interface ScheduleCounts {
  /** The number of runs, including those that clients have triggered. */
  readonly started: number;
  readonly triggered: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  /** The number of due times that were skipped because earlier runs were running. */
  readonly skipped: number;
  /** The number of due times that passed while no node was running or the schedule was paused, and that did not run later. */
  readonly missed: number;
}

/** The state of a schedule, as its record holds it. Times are epoch milliseconds. */
export interface ScheduleContext {
  readonly id: string;
  readonly schedule: Schedule;
  /** The time at which the schedule was added, or received its present spec. */
  readonly addedAt: number;
  /** The schedule has handled every due time up to this one. */
  readonly upTo: number;
  /** The due time that the schedule waits for, and the start of its run. */
  readonly next?: { readonly due: number; readonly at: number } | undefined;
  readonly running: readonly Run[];
  /** The due times that wait for earlier runs, oldest first. */
  readonly queued: readonly number[];
  readonly counts: ScheduleCounts;
  /** The newest run. */
  readonly last?: Run | undefined;
  /** The last failure of a run. */
  readonly lastFailure?: (Failure & { readonly run: string; readonly at: number }) | undefined;
}

export function newContext(schedule: Schedule): ScheduleContext {
  const counts = { started: 0, triggered: 0, succeeded: 0, failed: 0, cancelled: 0, skipped: 0, missed: 0 };
  return { id: "", schedule, addedAt: 0, upTo: 0, running: [], queued: [], counts };
}

/** Returns the context with a new spec, whose first due times come after `now`. */
export function begun(context: ScheduleContext, schedule: Schedule, now: number): ScheduleContext {
  const begin = { ...context, schedule, addedAt: now };
  return withNext({ ...begin, upTo: beginOf(timetable(begin), now) });
}

export function timetable({ schedule, addedAt }: ScheduleContext): Timetable {
  return timetableOf(schedule, addedAt);
}

/** Returns the number of due times that may still run. */
export function left({ schedule, counts, queued }: ScheduleContext): number {
  return (schedule.runs ?? Infinity) - counts.started - queued.length;
}

/** Returns the context with the next due time to wait for. */
export function withNext(context: ScheduleContext): ScheduleContext {
  const { id, schedule, upTo } = context;
  const due = left(context) > 0 ? nextDue(timetable(context), upTo) : undefined;
  return { ...context, next: due === undefined ? undefined : { due, at: startTime(id, due, schedule.jitterMs) } };
}
