import { crc32 } from "node:zlib";

import { cronOf } from "./cron.ts";
import { parseSchedule } from "./parse-schedule.ts";
import { scheduleLimits, type Schedule, type ScheduleSpec } from "./spec.ts";

/** The due times of a schedule that was added at a given time, in epoch milliseconds. */
export interface Timetable {
  readonly rule:
    | { readonly kind: "cron"; readonly cron: string; readonly timeZone: string }
    | { readonly kind: "every"; readonly everyMs: number; readonly anchor: number }
    | { readonly kind: "at"; readonly at: number };
  /** The first and the last moment at which the schedule may be due. */
  readonly from: number;
  readonly until: number;
}

/** Due times of the past. */
export interface DueTimes {
  /** The newest due times, oldest first. */
  readonly times: readonly number[];
  /** The number of all due times. For a cron rule, it counts only those in `times`, because counting all would take too long. */
  readonly count: number;
}

/** Returns the timetable of a schedule that was added at `addedAt`. */
export function timetableOf({ when, startAt, endAt }: Schedule, addedAt: number): Timetable {
  const until = Math.min(endAt ?? Infinity, scheduleLimits.lastTime);
  const from = Math.max(startAt ?? -Infinity, addedAt + 1);
  switch (when.kind) {
    case "cron":
      return { rule: when, from, until };
    case "every":
      return { rule: { ...when, anchor: startAt ?? addedAt }, from, until };
    default: {
      const at = when.kind === "at" ? when.at : addedAt + when.afterMs;
      return { rule: { kind: "at", at }, from: at, until: Math.max(at, until) };
    }
  }
}

/** Returns the time after which due times count, for a schedule that was added at `addedAt`. A single time in the past counts too. */
export function beginOf({ rule }: Timetable, addedAt: number): number {
  return rule.kind === "at" ? rule.at - 1 : addedAt;
}

/** Returns the first due time after `after`. */
export function nextDue(table: Timetable, after: number): number | undefined {
  const { rule, from, until } = table;
  const due = firstAfter(rule, Math.max(after, from - 1));
  return due === undefined || due > until ? undefined : due;
}

/** Returns the newest `most` due times after `after` and up to `upTo`. */
export function dueBetween(table: Timetable, after: number, upTo: number, most: number): DueTimes {
  const { rule } = table;
  const low = Math.max(after, table.from - 1);
  const high = Math.min(upTo, table.until);
  if (high <= low || most <= 0) return { times: [], count: 0 };
  if (rule.kind === "cron") {
    const times = cronOf(rule.cron, rule.timeZone).newest(low, high, most);
    return { times, count: times.length };
  }
  if (rule.kind === "at") return rule.at > low && rule.at <= high ? { times: [rule.at], count: 1 } : NONE;
  const { everyMs, anchor } = rule;
  const first = Math.max(0, Math.floor((low - anchor) / everyMs) + 1);
  const count = Math.max(0, Math.floor((high - anchor) / everyMs) - first + 1);
  const length = Math.min(count, most);
  return { times: Array.from({ length }, (_, index) => anchor + (first + count - length + index) * everyMs), count };
}

const NONE: DueTimes = { times: [], count: 0 };

/** Returns the time at which a due time's run starts. The same schedule and due time always give the same start. */
export function startTime(id: string, due: number, jitterMs: number): number {
  if (jitterMs === 0) return due;
  return due + Math.floor((crc32(`${id}:${due}`) / 2 ** 32) * (jitterMs + 1));
}

/**
 * The next `count` due times of a schedule that is added at `from` (epoch milliseconds), without its jitter. Throws `InvalidError` with an issue for
 * each fault of the spec.
 *
 * @example
 * nextRuns({ cron: "0 3 * * *", timeZone: "Europe/Berlin", task: { driver: "report" } }, 5, Date.now());
 */
export function nextRuns(spec: ScheduleSpec, count: number, from: number): number[] {
  const table = timetableOf(parseSchedule(spec), from);
  return nextDues(table, beginOf(table, from), count);
}

/** Returns the next `count` due times after `after`. */
export function nextDues(table: Timetable, after: number, count: number): number[] {
  const dues: number[] = [];
  for (let due = nextDue(table, after); due !== undefined && dues.length < count; due = nextDue(table, due))
    dues.push(due);
  return dues;
}

function firstAfter(rule: Timetable["rule"], after: number): number | undefined {
  switch (rule.kind) {
    case "cron":
      return cronOf(rule.cron, rule.timeZone).next(after);
    case "every":
      return rule.anchor + Math.max(0, Math.floor((after - rule.anchor) / rule.everyMs) + 1) * rule.everyMs;
    default:
      return rule.at > after ? rule.at : undefined;
  }
}
