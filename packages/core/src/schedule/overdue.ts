import { timetable, type ScheduleContext } from "./schedule-context.ts";
import { LATE_MS } from "./spec.ts";
import { dueBetween, nextDue, startTime } from "./times.ts";

/** A node's clock may be slightly ahead of the server's. An alarm handles due times within this span, so that no run starts early. */
const NEAR_MS = 1_000;
/** The most due times of a schedule that can be late but not missed, at one per second. */
const MOST_LATE = LATE_MS / 1_000 + 1;

/** The due times of a schedule that are not handled yet. */
export interface Overdue {
  /** The due times that run, oldest first. */
  readonly dues: readonly number[];
  /** The number of missed due times that do not run. */
  readonly missed: number;
  /** The last due time that this result covers. */
  readonly upTo: number;
}

/**
 * Returns the due times at `now`. `sure` is the due time whose alarm has fired, if any. A due time that is late by more than `lateMs` counts as
 * missed; the newest of these run, up to the limit of the schedule's catch-up.
 */
export function overdue(context: ScheduleContext, now: number, lateMs: number, sure?: number): Overdue {
  const { id, schedule, upTo } = context;
  const { jitterMs, catchUp } = schedule;
  const { limit, windowMs = Infinity } = catchUp;
  const table = timetable(context);
  const after = sure ?? upTo;
  const until = now - NEAR_MS;
  const start = (due: number): number => startTime(id, due, jitterMs);
  // These due times have passed with any jitter. The due times that are left may still lie ahead.
  const { times, count } = dueBetween(table, after, until - jitterMs, limit + MOST_LATE);
  const dues = [...(sure === undefined ? [] : [sure]), ...times];
  let due = nextDue(table, Math.max(after, until - jitterMs));
  for (let most = MOST_LATE; due !== undefined && start(due) <= until && most > 0; most--) {
    dues.push(due);
    due = nextDue(table, due);
  }
  const missed = dues.filter((due) => start(due) <= now - lateMs);
  const recent = missed.filter((due) => due >= now - windowMs);
  const dropped = new Set(missed.slice(0, missed.length - Math.min(limit, recent.length)));
  return {
    dues: dues.filter((due) => !dropped.has(due)),
    // Due times that are too old to be listed count as missed too.
    missed: dropped.size + count - times.length,
    upTo: dues.at(-1) ?? upTo,
  };
}
