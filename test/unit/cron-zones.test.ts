import { DAY, MINUTE, nextRuns } from "@ergon/core";
import { expect, test } from "vitest";

import { ScheduleSubject } from "../support/schedule-subject.ts";

/** Rules whose fields the oracle reads: numbers, lists, ranges, steps and stars. */
const rules = [
  ...["30 2 * * *", "30 23 * * *", "0 0 * * *", "59 23 * * *", "15,45 1-3 * * *", "0 0-5 * * *", "0,30 22-23 * * *"],
  ...["30 0 * * 0", "0 3 29 3 *", "30 1 25 10 *", "15 2 1 * *", "0 12 * * 1-5"],
  ...["*/30 * * * *", "15 * * * *", "*/20 2 * * *", "10 */2 * * *", "*/45 0-3 * * 0,6", "* 23 * * *"],
];
/** The year 2026, and 2011 with the day that Samoa left out. */
const years = [2026, 2011];

/** A stretch of time on one offset, before which another one held. */
interface Change {
  readonly at: number;
  readonly before: number;
  readonly after: number;
}

function offsetOf(zone: string): (at: number) => number {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
  return (at) => {
    const name = format.formatToParts(at).find(({ type }) => type === "timeZoneName")?.value ?? "";
    const [, sign = "+", hours = "0", minutes = "0", seconds = "0"] =
      /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(name) ?? [];
    return (sign === "-" ? -1_000 : 1_000) * (Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds));
  };
}

function changesOf(zone: string, year: number): Change[] {
  const offset = offsetOf(zone);
  const changes: Change[] = [];
  const end = Date.UTC(year + 1, 0, 1);
  let before = offset(Date.UTC(year, 0, 1));
  // No clock is set twice within a week.
  for (let from = Date.UTC(year, 0, 1); from < end; from += 7 * DAY) {
    const after = offset(from + 7 * DAY);
    if (before === after) continue;
    let [low, high] = [from, from + 7 * DAY];
    while (high - low > MINUTE) {
      const middle = low + Math.floor((high - low) / MINUTE / 2) * MINUTE;
      if (offset(middle) === before) low = middle;
      else high = middle;
    }
    changes.push({ at: high, before, after });
    before = after;
  }
  return changes;
}

function matcherOf(rule: string): (wall: number) => boolean {
  const fields = rule.split(" ").map((field) => {
    const values = new Set<number>();
    for (const part of field.split(",")) {
      const [range = "", step = "1"] = part.split("/");
      const [first = "", last = first] = range === "*" ? ["0", "59"] : range.split("-");
      for (let value = Number(first); value <= Number(last); value += Number(step)) values.add(value);
    }
    return { values, isAny: field === "*" };
  });
  const [minutes, hours, days, months, weekdays] = fields as unknown as [Field, Field, Field, Field, Field];
  return (wall) => {
    // Most minutes are none of the rule's: that is seen without a date.
    if (!minutes.values.has((wall / MINUTE) % 60)) return false;
    const date = new Date(wall);
    const isDay = days.values.has(date.getUTCDate());
    const isWeekday = weekdays.values.has(date.getUTCDay());
    const isOnDay =
      days.isAny || weekdays.isAny ? (days.isAny || isDay) && (weekdays.isAny || isWeekday) : isDay || isWeekday;
    const isInMonth = months.isAny || months.values.has(date.getUTCMonth() + 1);
    return hours.values.has(date.getUTCHours()) && isInMonth && isOnDay;
  };
}

interface Field {
  readonly values: ReadonlySet<number>;
  readonly isAny: boolean;
}

/** Looks at every minute of the days around a change. */
function oracle(rule: string, { at, before, after }: Change, from: number, to: number): number[] {
  const matches = matcherOf(rule);
  const isFixed = !/[*/]/.test(rule.split(" ").slice(0, 2).join(" "));
  const dues: number[] = [];
  let newestWall = Number.NEGATIVE_INFINITY;
  for (let now = from; now <= to; now += MINUTE) {
    const wall = now + (now < at ? before : after);
    let isDue = matches(wall) && !(isFixed && wall <= newestWall);
    if (isFixed && now === at)
      for (let skipped = newestWall + MINUTE; skipped < wall; skipped += MINUTE) isDue ||= matches(skipped);
    newestWall = Math.max(newestWall, wall);
    if (isDue) dues.push(now);
  }
  return dues;
}

/** Each change of each zone once: many zones share their rules. */
const everyChange = lazily((): [string, Change][] => {
  const changes = new Map<string, [string, Change]>();
  for (const zone of Intl.supportedValuesOf("timeZone"))
    for (const year of years)
      for (const change of changesOf(zone, year)) changes.set(Object.values(change).join(), [zone, change]);
  return [...changes.values()];
});

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

test(
  "every rule around every change of every clock: due as one says who looks at each minute on the wall",
  { timeout: 120_000 },
  () => {
    const changes = everyChange();
    expect(changes.length).toBeGreaterThan(60);
    const wrong: string[] = [];
    for (const [timeZone, change] of changes) {
      const [from, to] = [change.at - DAY, change.at + DAY];
      for (const cron of rules) {
        const right = oracle(cron, change, from + MINUTE, to);
        const found = nextRuns({ cron, timeZone, task: { driver: "work" } }, right.length + 1, from);
        if (found.filter((due) => due <= to).join() !== right.join())
          wrong.push(`${timeZone} "${cron}" around ${new Date(change.at).toISOString()}`);
      }
    }
    expect(wrong).toEqual([]);
  },
);

test(
  "the runs that are caught up around a clock change are the newest of the same due times",
  { timeout: 120_000 },
  () => {
    const wrong: string[] = [];
    const seen = new Set<string>();
    for (const [timeZone, change] of everyChange()) {
      // One of each kind: by how far the clock is set, and at what time of the day.
      const kind = `${change.after - change.before} ${(change.at + change.before) % DAY}`;
      if (seen.has(kind)) continue;
      seen.add(kind);
      for (const cron of rules) {
        const from = change.at - DAY;
        const dues = oracle(cron, change, from + MINUTE, change.at + DAY);
        for (const to of [change.at + 5 * MINUTE, change.at + 95 * MINUTE, change.at + DAY]) {
          const limit = 7;
          const spec = { cron, timeZone, overlap: "allow", catchUp: { limit }, task: { driver: "work" } } as const;
          const subject = new ScheduleSubject(spec, { now: from });
          subject.send({ type: "pause" });
          subject.now = to + 1_500;
          subject.send({ type: "resume" });
          const right = dues.filter((due) => due <= to).slice(-limit);
          const found = subject.context.running.map(({ due }) => due);
          if (found.join() !== right.join()) wrong.push(`${timeZone} "${cron}" up to ${new Date(to).toISOString()}`);
        }
      }
    }
    expect(wrong).toEqual([]);
  },
);
