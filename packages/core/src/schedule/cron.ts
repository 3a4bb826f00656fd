import { Cron } from "croner";

import { messageOf } from "../base/errors.ts";
import { timeZoneOf, type TimeZone } from "./time-zone.ts";

/** The due times of a cron rule, in epoch milliseconds. */
export interface CronTimes {
  /** Returns the first due time after `after`. */
  next(after: number): number | undefined;
  /** Returns the newest `most` due times after `low` and up to `high`, oldest first. */
  newest(low: number, high: number, most: number): number[];
}

const DAY_MS = 86_400_000;

/**
 * Returns the due times of a cron rule in its time zone. A rule of fixed times runs once per day with a clock change, right after the hour that a
 * change forward skips, or in the first of the two hours that a change back repeats. A rule with `*` or a step in seconds, minutes or hours follows
 * the elapsed time; it does not run in a skipped hour, and it runs in both repeated hours.
 */
export function cronOf(cron: string, timeZone: string): CronTimes {
  const walls = wallsOf(cron);
  const zone = timeZoneOf(timeZone);
  const isFixed = isFixedTime(cron);
  const next = (after: number): number | undefined => nextDue(walls, zone, isFixed, after);
  return { next, newest: (low, high, most) => newestDues(walls, zone, next, { low, high, most }) };
}

/** The rule by wall times, without clock changes. */
interface Walls {
  /** Returns the first match after a wall time. */
  after(wall: number): number | undefined;
  /** Returns the last `count` matches before a wall time, newest first. */
  before(wall: number, count: number): readonly number[];
}

function wallsOf(cron: string): Walls {
  const rule = new Cron(cron, { utcOffset: 0, paused: true, mode: "5-or-6-parts" });
  return {
    after: (wall) => rule.nextRun(new Date(wall))?.getTime(),
    before: (wall, count) => rule.previousRuns(count, new Date(wall)).map((date) => date.getTime()),
  };
}

/**
 * Returns the first due time after `after`. It goes from one clock change of the zone to the next, because the offset is constant between two
 * changes. `from` is the first moment that may be due.
 */
function nextDue(walls: Walls, zone: TimeZone, isFixed: boolean, after: number): number | undefined {
  let from = after + 1;
  if (isFixed) {
    const change = lastChange(zone, from);
    if (change !== undefined) {
      if (change === from && fallsIntoGap(walls, zone, change)) return change;
      from = Math.max(from, endOfRepeat(zone, change));
    }
  }
  for (;;) {
    const offset = zone.offsetAt(from);
    const wall = walls.after(from + offset - 1);
    if (wall === undefined) return undefined;
    const due = wall - offset;
    const change = zone.changeIn(from, Math.min(due, from + DAY_MS));
    if (change !== undefined) {
      if (isFixed && fallsIntoGap(walls, zone, change)) return change;
      from = isFixed ? endOfRepeat(zone, change) : change;
    } else if (due <= from + DAY_MS) return due;
    else from = due - DAY_MS;
  }
}

/** Returns the last clock change within the day before a moment. */
function lastChange(zone: TimeZone, at: number): number | undefined {
  return zone.changeIn(at - DAY_MS, at);
}

/** Returns true if the rule is due at a wall time that a clock change skips. */
function fallsIntoGap(walls: Walls, zone: TimeZone, change: number): boolean {
  const wall = walls.after(change + zone.offsetAt(change - 1) - 1);
  return wall !== undefined && wall < change + zone.offsetAt(change);
}

/** Returns the moment at which the wall clock has passed all repeated times of a clock change. It is the change itself if that repeats none. */
function endOfRepeat(zone: TimeZone, change: number): number {
  return change + Math.max(0, zone.offsetAt(change - 1) - zone.offsetAt(change));
}

/** Goes back by the wanted number of matches, and collects the due times from there forward. */
function newestDues(
  walls: Walls,
  zone: TimeZone,
  next: (after: number) => number | undefined,
  { low, high, most }: { readonly low: number; readonly high: number; readonly most: number },
): number[] {
  // A clock that was set back has already shown later times.
  const newestWall = high + Math.max(zone.offsetAt(high), zone.offsetAt(high - DAY_MS));
  for (let count = most; ; count *= 2) {
    const before = walls.before(newestWall + 1, count);
    const [oldest] = before.slice(-1);
    const isAll = oldest === undefined || before.length < count;
    const start = isAll ? low : oldest - Math.max(zone.offsetAt(oldest - DAY_MS), zone.offsetAt(oldest + DAY_MS)) - 1;
    const dues: number[] = [];
    for (let due = next(Math.max(low, start)); due !== undefined && due <= high; due = next(due)) dues.push(due);
    // A clock change may skip some of the matches, or give two of them the same moment.
    if (dues.length >= most || start <= low) return dues.slice(-most);
  }
}

/** The pattern of nicknames for rules. All except `@hourly` name fixed times. */
const NICKNAME = /^@[a-z]+$/i;

/** Returns true if a rule names fixed times, so that its seconds, minutes and hours have no wildcard and no step. */
function isFixedTime(cron: string): boolean {
  const text = cron.trim();
  if (NICKNAME.test(text)) return text.toLowerCase() !== "@hourly";
  const fields = text.split(/\s+/);
  return !/[*/]/.test(fields.slice(0, fields.length - 3).join(" "));
}

/** The longest rule. Each use of a rule parses it again. */
const LONGEST_CRON = 256;

/** Returns the reason why a text is no cron rule, or `undefined` if it is one. */
export function faultOfCron(cron: string): string | undefined {
  if (cron.length > LONGEST_CRON) return `has ${cron.length} characters; ${LONGEST_CRON} are allowed`;
  const shown = `"${cron.slice(0, 80)}"`;
  const parts = cron.trim().split(/\s+/).length;
  if (!NICKNAME.test(cron.trim()) && parts !== 5 && parts !== 6)
    return `${shown} has ${parts} fields; write five: minute hour day month weekday, or six with seconds first`;
  try {
    // A rule that is ever due is due within the 8 years that a 29 February may take.
    if (wallsOf(cron).after(0) !== undefined) return undefined;
  } catch (error) {
    return messageOf(error).replace(/^\w+: /, "");
  }
  const [day, month] = cron.trim().split(/\s+/).slice(-3);
  return `${shown} is never due: no month of "${month}" has a day "${day}". The fields are ${parts === 6 ? "second " : ""}minute hour day month weekday`;
}

/** Returns the reason why a text is no time zone, or `undefined` if it is one. */
export function faultOfTimeZone(timeZone: string): string | undefined {
  try {
    timeZoneOf(timeZone);
    return undefined;
  } catch {
    return `"${timeZone.slice(0, 80)}" is not a time zone; use a name of the IANA list, such as Europe/Berlin or UTC`;
  }
}
