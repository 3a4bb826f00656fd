import { timetable, type ScheduleContext } from "./schedule-context.ts";
import { LATE_MS } from "./spec.ts";
import { dueBetween, nextDue, startTime } from "./times.ts";

/** A node's clock may be ahead of the server's by a little; what lies so near is left to an alarm, so that nothing runs early. */
const NEAR_MS = 1_000;
/** Due times of a schedule that can be on their way: one a second. */
const MOST_LATE = LATE_MS / 1_000 + 1;

/** The due times of a schedule that are not handled yet. */
export interface Overdue {
  /** The due times to be run, oldest first. */
  readonly dues: readonly number[];
  /** Those that were missed and are not caught up with. */
  readonly missed: number;
  /** Every due time up to this one is among these. */
  readonly upTo: number;
}

/**
 * The due times at `now`. `sure`: the due time whose alarm has fired, if one has. A due time that is late by more than `lateMs` counts as missed: the
 * newest of these run, up to the limit of the schedule's catch-up.
 */
export function overdue(context: ScheduleContext, now: number, lateMs: number, sure?: number): Overdue {
  const { id, schedule, upTo } = context;
  const { jitterMs, catchUp } = schedule;
  const { limit, windowMs = Infinity } = catchUp;
  const table = timetable(context);
  const after = sure ?? upTo;
  const until = now - NEAR_MS;
  const start = (due: number): number => startTime(id, due, jitterMs);
  // Whatever its jitter is, each of these has its time behind it; of those that are left, the first may not.
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
    // Those that are so old that they were only counted are missed as well.
    missed: dropped.size + count - times.length,
    upTo: dues.at(-1) ?? upTo,
  };
}
