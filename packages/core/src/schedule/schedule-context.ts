import type { Failure } from "../task/task-context.ts";
import type { Schedule } from "./spec.ts";
import { beginOf, nextDue, startTime, timetableOf, type Timetable } from "./times.ts";

/** A run that has not ended. Times are epoch milliseconds. */
export interface Run {
  readonly id: string;
  /** The due time that it is the run of; absent where somebody asked for it. */
  readonly due?: number | undefined;
  readonly startedAt: number;
  /** Asked to stop, since a later due time has come. */
  readonly cancelling?: boolean | undefined;
}

export interface ScheduleCounts {
  /** Runs of due times, and runs that somebody asked for. */
  readonly started: number;
  readonly triggered: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Due times passed over for the runs before them. */
  readonly skipped: number;
  /** Due times that nobody was there for, or at which the schedule was paused, and that were not caught up with. */
  readonly missed: number;
}

/** All that is kept of a schedule. Times are epoch milliseconds. */
export interface ScheduleContext {
  readonly id: string;
  readonly schedule: Schedule;
  /** When it was added, or given another spec. */
  readonly addedAt: number;
  /** Every due time up to this one has been dealt with. */
  readonly upTo: number;
  /** The due time that it waits for, and when that starts. */
  readonly next?: { readonly due: number; readonly at: number } | undefined;
  readonly running: readonly Run[];
  /** Due times that wait for the runs before them, oldest first. */
  readonly queued: readonly number[];
  readonly counts: ScheduleCounts;
  /** The run that was started last. */
  readonly last?: Run | undefined;
  /** The last failure of a run. */
  readonly lastFailure?: (Failure & { readonly run: string; readonly at: number }) | undefined;
}

export function newContext(schedule: Schedule): ScheduleContext {
  const counts = { started: 0, triggered: 0, succeeded: 0, failed: 0, cancelled: 0, skipped: 0, missed: 0 };
  return { id: "", schedule, addedAt: 0, upTo: 0, running: [], queued: [], counts };
}

/** The schedule begins with a spec: its first due times come after now. */
export function begun(context: ScheduleContext, schedule: Schedule, now: number): ScheduleContext {
  const begin = { ...context, schedule, addedAt: now };
  return withNext({ ...begin, upTo: beginOf(timetable(begin), now) });
}

export function timetable({ schedule, addedAt }: ScheduleContext): Timetable {
  return timetableOf(schedule, addedAt);
}

/** How many due times may still be run. */
export function left({ schedule, counts, queued }: ScheduleContext): number {
  return (schedule.runs ?? Infinity) - counts.started - queued.length;
}

/** The context with the due time that it waits for from now on. */
export function withNext(context: ScheduleContext): ScheduleContext {
  const { id, schedule, upTo } = context;
  const due = left(context) > 0 ? nextDue(timetable(context), upTo) : undefined;
  return { ...context, next: due === undefined ? undefined : { due, at: startTime(id, due, schedule.jitterMs) } };
}
