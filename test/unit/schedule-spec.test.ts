import { isErgonError, parseSchedule } from "@ergon/core";
import { expect, test } from "vitest";

const task = { driver: "report" };

function issuesOf(spec: unknown): Record<string, string> {
  try {
    parseSchedule(spec);
  } catch (error) {
    if (!isErgonError(error)) throw error;
    return Object.fromEntries(error.issues.map(({ field, message }) => [field, message]));
  }
  return {};
}

test("a spec is read with its defaults", () => {
  expect(parseSchedule({ cron: "0 3 * * *", task })).toEqual({
    when: { kind: "cron", cron: "0 3 * * *", timeZone: "UTC" },
    run: { kind: "task", task },
    jitterMs: 0,
    overlap: "skip",
    catchUp: { limit: 1 },
  });
  expect(
    parseSchedule({
      every: "5m",
      start: "2030-01-01T00:00:00Z",
      end: 1_893_542_400_000,
      jitter: "10s",
      overlap: "queue",
      catchUp: { limit: 3, window: "1d" },
      runs: 7,
      machine: "order",
      version: "2",
      input: { amount: 1 },
    }),
  ).toEqual({
    when: { kind: "every", everyMs: 300_000 },
    startAt: 1_893_456_000_000,
    endAt: 1_893_542_400_000,
    jitterMs: 10_000,
    overlap: "queue",
    catchUp: { limit: 3, windowMs: 86_400_000 },
    runs: 7,
    run: { kind: "machine", machine: "order", version: "2", input: { amount: 1 } },
  });
  const plan = { steps: [{ id: "one", driver: "report" }] };
  expect(parseSchedule({ after: 0, plan }).run).toEqual({ kind: "machine", machine: "plan", input: plan });
});

test("every fault of a spec is named with its field", () => {
  const faults = issuesOf({
    cron: "61 * * * *",
    timeZone: "Europe/Berlin",
    start: "2030-01-02T00:00:00Z",
    end: "2030-01-01T00:00:00Z",
    jitter: "2d",
    overlap: "maybe",
    catchUp: { limit: -1, windows: 3 },
    runs: 0,
    task: { driver: "no driver", id: "x" },
    colour: "red",
  });
  expect(Object.keys(faults).toSorted((a, b) => a.localeCompare(b))).toEqual(
    ["catchUp.limit", "catchUp.windows", "colour", "cron", "end", "jitter", "overlap", "runs", "task.id"].toSorted(
      (a, b) => a.localeCompare(b),
    ),
  );
});

test.each([
  [{ task }, "cron", "is missing"],
  [{ cron: "* * * * *", every: "5m", task }, "every", "cron is given too"],
  [{ cron: "* * * *", task }, "cron", "has 4 fields"],
  [{ cron: "* * * * * * 2030", task }, "cron", "has 7 fields"],
  [{ cron: "2030-01-01T00:00:00", task }, "cron", "has 1 fields"],
  [{ cron: "@reboot", task }, "cron", ""],
  [{ cron: "0 0 30 2 *", task }, "cron", "is never due"],
  [{ cron: "0 3 * * *", timeZone: "Europe/Nowhere", task }, "timeZone", "is not a time zone"],
  [{ every: "5m", timeZone: "UTC", task }, "timeZone", "is for cron"],
  [{ every: "999ms", task }, "every", "from 1000 ms"],
  [{ at: "2030-01-01T08:00", task }, "at", "must say its zone"],
  [{ at: "tomorrow", task }, "at", "must be a time"],
  [{ at: "2400-01-01T00:00:00Z", task }, "at", "before the year 2262"],
  [{ at: "2030-01-01", end: "2031-01-01", task }, "end", "is for cron and every"],
  [{ every: "5m" }, "task", "is missing"],
  [{ every: "5m", task, machine: "order" }, "machine", "task is given too"],
  [{ every: "5m", task, input: 1 }, "input", "is for machine"],
  [{ every: "5m", machine: "no name" }, "machine", "letters"],
  [{ every: "5m", task: { driver: "a b" } }, "task.driver", "letters"],
  [{ every: "5m", task: "report" }, "task", "must be an object"],
  [{ every: "5m", task: { driver: "report", attemptTimeout: "soon" } }, "task.attemptTimeout", "must be a duration"],
  [{ every: "5m", plan: { steps: [{ id: "one", driver: "a b" }] } }, "plan.steps[0].driver", "letters"],
  [{ every: "5m", task, catchUp: 3 }, "catchUp", "must be an object"],
])("%j is refused by %s", (spec, field, text) => {
  expect(issuesOf(spec)[field]).toContain(text);
});

test("a spec that is no object is refused", () => {
  expect(() => parseSchedule("daily")).toThrow("must be an object");
});

test("a cron rule that is never due is refused with the fields that never meet, and a ? with what to write", () => {
  expect(issuesOf({ cron: "30 2 31 2 *", task })).toEqual({
    cron: 'cron: "30 2 31 2 *" is never due: no month of "2" has a day "31". The fields are minute hour day month weekday',
  });
  expect(issuesOf({ cron: "0 30 2 31 4,6,9,11 *", task })["cron"]).toContain('no month of "4,6,9,11" has a day "31"');
  expect(issuesOf({ cron: "30 2 29 2 *", task })).toEqual({});
  expect(issuesOf({ cron: "30 2 31 2 MON", task })).toEqual({});
  expect(issuesOf({ cron: "? 2 * * *", task })).toEqual({ cron: 'cron: has a "?"; write "*" for any value' });
});
