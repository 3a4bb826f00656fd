import { HOUR, MINUTE, SECOND, scheduleMachine, silentLogger, type ScheduleSpec } from "@ergon/core";
import { decodeFields, encodeRecord, machineEngine, type Ending, type MachineState } from "@ergon/core/engine";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { ScheduleSubject } from "../support/schedule-subject.ts";

const T0 = Date.UTC(2026, 0, 1);
const task = { driver: "report" };
const done: Ending = { kind: "done", output: null };
const failed: Ending = { kind: "error", error: { code: "BROKEN", message: "no paper", retryable: false } };

const subject = (spec: Partial<ScheduleSpec>, id = "s"): ScheduleSubject =>
  new ScheduleSubject({ every: "1m", task, ...spec }, { id, now: T0 });
const ids = ({ started }: ScheduleSubject): string[] => started.map(({ id }) => id);

describe("a run's id", () => {
  test("a run's id is the schedule's and the due time, however late it starts", () => {
    const schedule = subject({ overlap: "allow" });
    schedule.goOff(7_300);
    schedule.now = T0 + 200_500;
    schedule.goOff();
    expect(ids(schedule)[0]).toBe("s=20260101T000100Z");
  });

  test("a run's id has milliseconds where the due time has, and holds the whole id of its schedule", () => {
    const id = "x".repeat(128);
    const schedule = subject({ every: "1500ms" }, id);
    schedule.goOff();
    expect(ids(schedule)).toEqual([`${id}=20260101T000001_500Z`]);
  });
});

test("a run in flight under an id of the former form counts as running, and its end is heard", () => {
  const schedule = subject({});
  schedule.goOff();
  const record = Buffer.from(encodeRecord(scheduleMachine, schedule.state)).toString("latin1");
  const former = decodeFields(Buffer.from(record.replaceAll("s=2026", "s-2026"), "latin1"));
  if ("kind" in former) throw new Error(former.reason);
  expect(machineEngine.misshapen(scheduleMachine, former)).toBeUndefined();
  const surroundings = { id: "s", logger: silentLogger, onLocal: () => undefined };
  schedule.state = machineEngine.restore(scheduleMachine, former, surroundings) as MachineState;

  schedule.goOff();
  expect(schedule.context).toMatchObject({ running: [{ id: "s-20260101T000100Z" }], counts: { skipped: 1 } });
  const [key = "0"] = Object.keys(schedule.state.meta.children);
  schedule.happen({
    type: "ergon.told",
    from: "s-20260101T000100Z",
    tell: { seq: 1, to: "s", key: Number(key), what: { kind: "ended", ending: done } },
  });
  schedule.goOff();
  expect(schedule.context).toMatchObject({
    running: [{ id: "s=20260101T000300Z" }],
    counts: { started: 2, succeeded: 1 },
  });
});

describe("overlap", () => {
  const twice = (overlap: ScheduleSpec["overlap"]): ScheduleSubject => {
    const schedule = subject({ overlap });
    schedule.goOff();
    schedule.goOff();
    return schedule;
  };

  test("overlap skip skips a due run while another one runs", () => {
    const schedule = twice("skip");
    schedule.end("s=20260101T000100Z", done);
    schedule.goOff();
    expect(ids(schedule)).toEqual(["s=20260101T000100Z", "s=20260101T000300Z"]);
    expect(schedule.context.counts).toMatchObject({ started: 2, succeeded: 1, skipped: 1 });
  });

  test("overlap allow runs them beside each other", () => {
    expect(twice("allow").context.running).toHaveLength(2);
  });

  test("overlap allow has a bound", () => {
    const schedule = subject({ overlap: "allow" });
    for (let due = 0; due < 103; due++) schedule.goOff();
    expect(schedule.context).toMatchObject({ running: { length: 100 }, counts: { started: 100, skipped: 3 } });
  });

  test("overlap queue runs them one after the other", () => {
    const schedule = twice("queue");
    schedule.goOff();
    expect(ids(schedule)).toEqual(["s=20260101T000100Z"]);
    schedule.end("s=20260101T000100Z", failed);
    expect(ids(schedule)).toEqual(["s=20260101T000100Z", "s=20260101T000200Z"]);
    schedule.end("s=20260101T000200Z", done);
    expect(ids(schedule).at(-1)).toBe("s=20260101T000300Z");
    expect(schedule.context).toMatchObject({
      counts: { started: 3, succeeded: 1, failed: 1, skipped: 0 },
      lastFailure: { code: "BROKEN", run: "s=20260101T000100Z" },
    });
  });

  test("overlap cancel cancels the running one, once, and starts the newest when that has ended", () => {
    const schedule = twice("cancel");
    schedule.goOff();
    expect(schedule.cancelled).toEqual(["s=20260101T000100Z"]);
    expect(ids(schedule)).toEqual(["s=20260101T000100Z"]);
    schedule.end("s=20260101T000100Z", {
      kind: "error",
      error: { code: "TASK_CANCELLED", message: "", retryable: false },
    });
    expect(ids(schedule)).toEqual(["s=20260101T000100Z", "s=20260101T000300Z"]);
    expect(schedule.context.counts).toMatchObject({ started: 2, cancelled: 1, skipped: 1 });
  });
});

describe("catch-up", () => {
  test("catch-up runs the newest missed due time, and counts the others", () => {
    const schedule = subject({ overlap: "allow" });
    schedule.goOff(5 * MINUTE);
    expect(ids(schedule)).toEqual(["s=20260101T000500Z"]);
    expect(schedule.context.counts).toMatchObject({ started: 1, missed: 4 });
    expect(schedule.alarm?.due).toBe(T0 + 6 * MINUTE);
  });

  test("catch-up runs as many missed due times as the limit says, oldest first", () => {
    const schedule = subject({ overlap: "allow", catchUp: { limit: 3 } });
    schedule.goOff(HOUR + 30 * SECOND);
    expect(ids(schedule)).toEqual(["s=20260101T005900Z", "s=20260101T010000Z", "s=20260101T010100Z"]);
    expect(schedule.context.counts).toMatchObject({ started: 3, missed: 58 });
  });

  test("catch-up runs none with a limit of 0, and none older than the window", () => {
    const none = subject({ overlap: "allow", catchUp: { limit: 0 } });
    none.goOff(HOUR + 30 * SECOND);
    expect(none.context.counts).toMatchObject({ started: 0, missed: 61 });
    const recent = subject({ overlap: "allow", catchUp: { limit: 10, window: "3m" } });
    recent.goOff(HOUR + 30 * SECOND);
    expect(ids(recent)).toEqual(["s=20260101T005900Z", "s=20260101T010000Z", "s=20260101T010100Z"]);
  });

  test("a due time that is late by no more than ten seconds was not missed", () => {
    const schedule = subject({ every: "1s", overlap: "allow", catchUp: { limit: 0 } });
    schedule.goOff(9 * SECOND);
    expect(schedule.context.counts).toMatchObject({ started: 9, missed: 0 });
    expect(schedule.alarm?.due).toBe(T0 + 10 * SECOND);
  });

  test("catch-up of a cron rule works after years", () => {
    const schedule = subject({
      every: undefined,
      cron: "0 3 * * *",
      timeZone: "Europe/Berlin",
      overlap: "allow",
      catchUp: { limit: 2 },
    });
    schedule.goOff(3 * 365 * 24 * HOUR + MINUTE);
    expect(ids(schedule)).toEqual(["s=20281230T020000Z", "s=20281231T020000Z"]);
    expect(schedule.context.next?.due).toBe(Date.UTC(2029, 0, 1, 2));
  });
});

describe("pause and resume", () => {
  test("a paused schedule waits for nothing; what was due meanwhile is caught up with", () => {
    const schedule = subject({});
    schedule.send({ type: "pause" });
    expect(schedule.place).toBe("paused");
    expect(schedule.alarm).toBeUndefined();
    schedule.now += 10 * MINUTE + 5_000;
    schedule.send({ type: "resume" });
    expect(ids(schedule)).toEqual(["s=20260101T001000Z"]);
    expect(schedule.context.counts.missed).toBe(9);
    expect(schedule.alarm?.due).toBe(T0 + 11 * MINUTE);
  });

  test("a run that waits in the queue continues to wait through a pause", () => {
    const schedule = subject({ overlap: "queue" });
    schedule.goOff();
    schedule.goOff();
    schedule.send({ type: "pause" });
    schedule.end("s=20260101T000100Z", done);
    expect(ids(schedule)).toHaveLength(1);
    schedule.send({ type: "resume" });
    expect(ids(schedule)).toEqual(["s=20260101T000100Z", "s=20260101T000200Z"]);
  });
});

test("a trigger starts a run at once, whatever runs, also in a pause", () => {
  const schedule = subject({});
  schedule.goOff();
  schedule.send({ type: "trigger" });
  schedule.send({ type: "pause" });
  schedule.send({ type: "trigger" });
  expect(ids(schedule)).toEqual(["s=20260101T000100Z", "s=20260101T000100Z-t1", "s=20260101T000100Z-t2"]);
  expect(schedule.context.counts).toMatchObject({ started: 1, triggered: 2 });
});

test("an update begins anew, and an invalid one is not taken", () => {
  const schedule = subject({});
  schedule.goOff();
  schedule.now += 10 * SECOND;
  schedule.send({ type: "update", spec: { every: "1h", task: { driver: "other" } } });
  expect(schedule.alarm?.due).toBe(schedule.now + HOUR);
  expect(schedule.context).toMatchObject({ running: { length: 1 }, counts: { started: 1 } });
  expect(schedule.state.snapshot.can({ type: "update", spec: { every: "1h" } })).toBe(false);
});

describe("the end", () => {
  test("a schedule ends after its runs, when the last has ended", () => {
    const schedule = subject({ runs: 2 });
    schedule.goOff();
    schedule.end("s=20260101T000100Z", done);
    schedule.goOff();
    expect(schedule.place).toBe("finishing");
    expect(schedule.alarm).toBeUndefined();
    schedule.end("s=20260101T000200Z", failed);
    expect(schedule.state.meta.status).toBe("succeeded");
    expect(schedule.state.persisted.output).toMatchObject({ started: 2, succeeded: 1, failed: 1 });
  });

  test("a single time of the past is run at once", () => {
    const schedule = subject({ every: undefined, at: "2025-06-01T00:00:00Z" });
    schedule.goOff();
    expect(ids(schedule)).toEqual(["s=20250601T000000Z"]);
    expect(schedule.place).toBe("finishing");
  });

  test("nothing is due after its end", () => {
    const schedule = subject({ end: T0 + 2 * MINUTE });
    for (let due = 1; due <= 2; due++) {
      schedule.goOff();
      schedule.end(`s=20260101T000${due}00Z`, done);
    }
    expect(schedule.state.meta.status).toBe("succeeded");
  });
});

test("a task that cannot be started is a run that has failed", () => {
  const schedule = subject({});
  schedule.goOff();
  const [key = "0"] = Object.keys(schedule.state.meta.children);
  schedule.happen({ type: "ergon.task", key: Number(key), ending: failed });
  expect(schedule.context).toMatchObject({ running: [], counts: { failed: 1 } });
});

test("jitter is the same for the same due time, within its bound, and spreads schedules", () => {
  const delays = Array.from({ length: 200 }, (_, index) => {
    const ofOne = [1, 2].map(() => subject({ jitter: "30s" }, `s-${index}`).alarm?.due ?? 0);
    expect(ofOne[0]).toBe(ofOne[1]);
    return (ofOne[0] ?? 0) - T0 - MINUTE;
  });
  expect(delays.every((ms) => ms >= 0 && ms <= 30_000)).toBe(true);
  const quarters = [0, 1, 2, 3].map((quarter) => delays.filter((ms) => Math.floor(ms / 7_500.1) === quarter).length);
  expect(Math.min(...quarters)).toBeGreaterThan(20);
});

const anySpec: fc.Arbitrary<ScheduleSpec> = fc.record({
  every: fc.constantFrom("1s", "7s", "1m", "13m"),
  jitter: fc.constantFrom(0, 0, "500ms", "5s", "2m"),
  overlap: fc.constantFrom("skip", "queue", "allow", "cancel"),
  catchUp: fc.record({ limit: fc.constantFrom(0, 1, 5, 1_000), window: fc.constantFrom(undefined, "30s", "1h") }),
  task: fc.constant(task),
});
const anyMove = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ move: fc.constant("goOff" as const), ms: fc.constantFrom(0, 3, 250, 5_000, 70_000, HOUR) }),
  },
  { weight: 3, arbitrary: fc.record({ move: fc.constant("end" as const), ms: fc.nat({ max: 5 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      move: fc.constantFrom("pause", "resume", "trigger", "pass"),
      ms: fc.nat({ max: HOUR }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ move: fc.constant("skew" as const), ms: fc.integer({ min: -900, max: 900 }) }) },
);

test("each due time is run once, skipped, missed or queued, whatever happens: none twice, none lost, none early", () => {
  fc.assert(
    fc.property(anySpec, fc.array(anyMove, { maxLength: 60 }), (spec, moves) => {
      const schedule = new ScheduleSubject(spec, { now: T0 });
      for (const { move, ms } of moves) {
        const { running } = schedule.context;
        if (move === "goOff") schedule.goOff(ms);
        else if (move === "skew") schedule.skewMs = ms;
        else if (move === "pass") schedule.now += ms;
        else if (move === "end") {
          const run = running[ms % Math.max(1, running.length)];
          if (run !== undefined) schedule.end(run.id, ms % 2 === 0 ? done : failed);
        } else if (schedule.state.snapshot.can({ type: move })) schedule.send({ type: move as "pause" });
      }
      const { context } = schedule;
      const everyMs = context.schedule.when.kind === "every" ? context.schedule.when.everyMs : 0;
      const { started, skipped, missed } = context.counts;
      expect(started + skipped + missed + context.queued.length).toBe((context.upTo - T0) / everyMs);
      const starts = ids(schedule);
      expect(new Set(starts).size).toBe(starts.length);
      for (const { id, at } of schedule.started) {
        const [, stamp = ""] = /^s=(\d{8}T\d{6}Z)$/.exec(id) ?? [];
        if (stamp === "") continue;
        const due = Date.parse(stamp.replace(/^(....)(..)(..T..)(..)/, "$1-$2-$3:$4:"));
        expect(at).toBeGreaterThanOrEqual(due);
      }
      expect(schedule.alarm?.due).toBe(schedule.place === "waiting" ? context.next?.at : undefined);
    }),
    { numRuns: 400 },
  );
});
