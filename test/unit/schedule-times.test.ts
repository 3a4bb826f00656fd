import { DAY, HOUR, MINUTE, nextRuns, type ScheduleSpec } from "@ergon/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

const task = { driver: "report" };
const runs = (spec: ScheduleSpec, count: number, from: string): string[] =>
  nextRuns({ task, ...spec }, count, Date.parse(from)).map((due) => new Date(due).toISOString());

describe("cron where clocks go forward (Europe/Berlin, 29 March 2026, 02:00 to 03:00)", () => {
  const berlin = (cron: string, count: number): string[] =>
    runs({ cron, timeZone: "Europe/Berlin" }, count, "2026-03-28T12:00:00Z");

  test("a time in the hour that is left out runs right after it, once", () => {
    expect(berlin("30 2 * * *", 2)).toEqual(["2026-03-29T01:00:00.000Z", "2026-03-30T00:30:00.000Z"]);
    expect(berlin("15,45 2 * * *", 2)).toEqual(["2026-03-29T01:00:00.000Z", "2026-03-30T00:15:00.000Z"]);
  });

  test("a rule with a step goes by the time that passes", () => {
    expect(runs({ cron: "*/30 * * * *", timeZone: "Europe/Berlin" }, 4, "2026-03-29T00:00:00Z")).toEqual([
      "2026-03-29T00:30:00.000Z",
      "2026-03-29T01:00:00.000Z",
      "2026-03-29T01:30:00.000Z",
      "2026-03-29T02:00:00.000Z",
    ]);
  });
});

describe("cron where clocks go back (Europe/Berlin, 25 October 2026, 03:00 to 02:00)", () => {
  const berlin = (cron: string, count: number): string[] =>
    runs({ cron, timeZone: "Europe/Berlin" }, count, "2026-10-24T23:59:00Z");

  test("a fixed time in the hour that comes twice runs once, the first time", () => {
    expect(berlin("30 2 * * *", 2)).toEqual(["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]);
    expect(berlin("15,45 2 * * *", 3)).toEqual([
      "2026-10-25T00:15:00.000Z",
      "2026-10-25T00:45:00.000Z",
      "2026-10-26T01:15:00.000Z",
    ]);
  });

  test("a rule with a step runs in both", () => {
    expect(berlin("*/30 * * * *", 6)).toEqual([
      "2026-10-25T00:00:00.000Z",
      "2026-10-25T00:30:00.000Z",
      "2026-10-25T01:00:00.000Z",
      "2026-10-25T01:30:00.000Z",
      "2026-10-25T02:00:00.000Z",
      "2026-10-25T02:30:00.000Z",
    ]);
  });
});

describe("when", () => {
  test("cron has seconds where there are six fields, and is in UTC unless told", () => {
    expect(runs({ cron: "*/20 * * * * *" }, 2, "2026-01-01T00:00:00Z")).toEqual([
      "2026-01-01T00:00:20.000Z",
      "2026-01-01T00:00:40.000Z",
    ]);
    expect(runs({ cron: "0 3 * * *" }, 1, "2026-07-01T00:00:00Z")).toEqual(["2026-07-01T03:00:00.000Z"]);
    expect(runs({ cron: "0 3 * * *", timeZone: "Asia/Kolkata" }, 1, "2026-07-01T00:00:00Z")).toEqual([
      "2026-07-01T21:30:00.000Z",
    ]);
  });

  test("every counts from its start, or from when it was added", () => {
    expect(runs({ every: "90s" }, 2, "2026-01-01T00:00:10Z")).toEqual([
      "2026-01-01T00:01:40.000Z",
      "2026-01-01T00:03:10.000Z",
    ]);
    expect(runs({ every: "1h", start: "2025-12-31T00:15:00Z" }, 1, "2026-01-01T12:00:00Z")).toEqual([
      "2026-01-01T12:15:00.000Z",
    ]);
    expect(runs({ every: "1h", start: "2026-02-01T00:15:00Z" }, 2, "2026-01-01T12:00:00Z")).toEqual([
      "2026-02-01T00:15:00.000Z",
      "2026-02-01T01:15:00.000Z",
    ]);
  });

  test("nothing is due before the start, or after the end", () => {
    const bounds = { start: "2026-01-03T00:00:00Z", end: "2026-01-04T00:00:00Z" };
    expect(runs({ cron: "0 0 * * *", ...bounds }, 5, "2026-01-01T00:00:00Z")).toEqual([
      "2026-01-03T00:00:00.000Z",
      "2026-01-04T00:00:00.000Z",
    ]);
    expect(runs({ every: "12h", ...bounds }, 5, "2026-01-01T00:00:00Z")).toHaveLength(3);
  });

  test("at and after are due once, a time of the past too", () => {
    expect(runs({ at: "2020-01-01T00:00:00Z" }, 5, "2026-01-01T00:00:00Z")).toEqual(["2020-01-01T00:00:00.000Z"]);
    expect(runs({ at: "2026-01-02T09:00:00+01:00" }, 5, "2026-01-01T00:00:00Z")).toEqual(["2026-01-02T08:00:00.000Z"]);
    expect(runs({ after: "10m" }, 5, "2026-01-01T00:00:00Z")).toEqual(["2026-01-01T00:10:00.000Z"]);
  });
});

const crons = [
  "30 2 * * *",
  "*/7 * * * *",
  "15,45 1-3 * * *",
  "0 0 * * 1",
  "0 */5 * * *",
  "59 23 L * *",
  "*/13 * * * * *",
];
const zones = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"];
const anyWhen: fc.Arbitrary<ScheduleSpec> = fc.oneof(
  fc.record({ cron: fc.constantFrom(...crons), timeZone: fc.constantFrom(...zones) }),
  fc.record({ every: fc.integer({ min: 1_000, max: 3 * DAY }) }),
  fc.record({
    every: fc.integer({ min: 1_000, max: 3 * DAY }),
    start: fc.integer({ min: Date.UTC(2020), max: Date.UTC(2030) }),
  }),
);
const anyTime = fc.integer({ min: Date.UTC(2026), max: Date.UTC(2028) });

test("due times grow, and do not depend on where one begins to look", () => {
  fc.assert(
    fc.property(anyWhen, anyTime, fc.nat({ max: 9 }), (when, from, index) => {
      const start = "every" in when ? { start: when.start ?? from } : {};
      const spec = { task, ...when, ...start };
      const dues = nextRuns(spec, 12, from);
      expect(dues).toHaveLength(12);
      expect(dues.every((due, at) => due > (dues[at - 1] ?? from))).toBe(true);
      const middle = dues[index] ?? 0;
      expect(nextRuns(spec, 2, middle)).toEqual(dues.slice(index + 1, index + 3));
      expect(nextRuns(spec, 1, middle - 1)).toEqual([middle]);
    }),
    { numRuns: 300 },
  );
});

test("daily rules run once on every day of the year, in every zone", () => {
  for (const timeZone of zones) {
    const dues = nextRuns({ cron: "30 2 * * *", timeZone, task }, 365, Date.UTC(2026, 0, 1, 12));
    const gaps = dues.slice(1).map((due, at) => due - (dues[at] ?? 0));
    expect(gaps.every((gap) => gap >= 22 * HOUR && gap <= 26 * HOUR)).toBe(true);
    expect(dues.every((due) => due % MINUTE === 0)).toBe(true);
  }
});
