import { isTerminal, taskDefaults, type SparseTaskOptions } from "@ergon/core";
import { endOfLife, statusOf, taskOption, type ActorState, type Effect, type TaskContext } from "@ergon/core/engine";
import fc from "fast-check";
import { expect, test } from "vitest";

import { Subject, T0, answer, eventNames, events, specOf, timerNames, type Event } from "../support/task-subject.ts";

const chance = fc.double({ min: 0, max: 0.999, noNaN: true });
const anyMoment = fc.oneof(
  fc.record({
    kind: fc.constant("event" as const),
    name: fc.constantFrom(...eventNames),
    attemptOffset: fc.constantFrom(0, 0, 0, 0, -1, 1),
    afterMs: fc.integer({ min: -5_000, max: 90_000 }),
    chance,
  }),
  fc.record({
    kind: fc.constant("timer" as const),
    index: fc.nat({ max: 3 }),
    lateMs: fc.nat({ max: 10_000 }),
    chance,
  }),
);
const anyOptions = fc.record(
  {
    maxLost: fc.nat({ max: 3 }),
    attemptTimeoutMs: fc.integer({ min: 1, max: 60_000 }),
    queueTimeoutMs: fc.integer({ min: 1, max: 600_000 }),
    totalTimeoutMs: fc.integer({ min: 1, max: 10_000_000 }),
    cancelGraceMs: fc.nat({ max: 20_000 }),
    retry: fc.record(
      {
        maxAttempts: fc.integer({ min: 1, max: 4 }),
        initialMs: fc.nat({ max: 5_000 }),
        jitter: fc.double({ min: 0, max: 1, noNaN: true }),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: [] },
);
const anyLife = fc.record({
  options: anyOptions,
  batch: fc.option(fc.constant("b"), { nil: undefined }),
  delayMs: fc.constantFrom(0, 0, 30_000),
  moments: fc.array(anyMoment, { minLength: 1, maxLength: 60 }),
});
type Life = typeof anyLife extends fc.Arbitrary<infer L> ? L : never;

interface Step {
  readonly before: ActorState;
  readonly next: ActorState;
  readonly effects: readonly Effect[];
  /** The contexts of before and after. */
  readonly was: TaskContext;
  readonly task: TaskContext;
  /** Where the task was and is. */
  readonly from: string;
  readonly place: string;
}

/** Every step of a life: events in any order, at any time (also earlier ones), and timers that fire late. */
function stepsOf({ options, batch, delayMs, moments }: Life): Step[] {
  const spec = specOf(options as SparseTaskOptions, delayMs === 0 ? {} : { notBefore: T0 + delayMs });
  const subject = new Subject(spec, batch === undefined ? {} : { batch });
  const steps: Step[] = [];
  for (const moment of moments) {
    const before = subject.state;
    const { place: from, task: was } = subject;
    // As the host does: an actor's own time never goes back.
    const until = (wanted: number): number => Math.max(wanted, was.updatedAt) - subject.at;
    if (moment.kind === "event") {
      const event = events[moment.name];
      const numbered = "attempt" in event ? { ...event, attempt: was.attempt + moment.attemptOffset } : event;
      subject.send(numbered as Event, until(subject.at + moment.afterMs), moment.chance);
    } else {
      const timer = before.timers[moment.index % Math.max(1, before.timers.length)];
      if (timer === undefined) continue;
      subject.state = { ...before, timers: before.timers.filter((other) => other !== timer) };
      subject.send(timer.event as unknown as Event, until(timer.due + moment.lateMs), moment.chance);
    }
    const { state: next, effects, place, task } = subject;
    steps.push({ before, next, effects, was, task, from, place });
  }
  return steps;
}

/** Fails with the shortest life in which a step does not hold. */
function always(holds: (step: Step) => boolean, numRuns = 400): () => void {
  return () =>
    fc.assert(
      fc.property(anyLife, (life) => stepsOf(life).every(holds)),
      { numRuns },
    );
}

const ordered = (numbers: readonly number[]): boolean =>
  numbers.every((number, index) => index === 0 || number >= (numbers[index - 1] ?? 0));

test("nothing of an ended task ever changes (I-1, B-14)", () => {
  const held = always(
    ({ before, next, effects }) =>
      before.snapshot.status === "active" ||
      (next.snapshot === before.snapshot && effects.length === 0 && next.timers.length === 0),
  );
  expect(held).not.toThrow();
});

test("attempts, failures and losses never decrease, and grow by one (I-9)", () => {
  const counters = ["attempt", "failures", "lost"] as const;
  const held = always(({ was, task }) =>
    counters.every((counter) => task[counter] === was[counter] || task[counter] === was[counter] + 1),
  );
  expect(held).not.toThrow();
});

test("every live task waits for its total bound and for that of its place; an attempt has a deadline (I-3, B-60)", () => {
  const own: Readonly<Record<string, string>> = {
    delayed: "due",
    ready: "queue",
    offered: "queue",
    unserved: "queue",
    started: "attempt",
    backoff: "backoff",
    cancelling: "grace",
  };
  const held = always(({ next, place, task }) => {
    const names = timerNames(next);
    if (next.snapshot.status !== "active") return names.length === 0;
    const expected = [own[place], "total"].filter((name) => name !== undefined);
    return names.join() === expected.join() && (place !== "started" || (task.deadline ?? 0) > 0);
  });
  expect(held).not.toThrow();
});

test("failures stay within the attempts, losses within the budget, and past them the task has ended (B-63)", () => {
  const held = always(({ next, task }) => {
    const mostFailures = task.options?.retry?.maxAttempts ?? taskDefaults.retry.maxAttempts;
    const mostLost = taskOption(task, "maxLost");
    const usedUp = task.failures === mostFailures || task.lost === mostLost + 1;
    return task.failures <= mostFailures && task.lost <= mostLost + 1 && (!usedUp || next.snapshot.status === "done");
  });
  expect(held).not.toThrow();
});

test("a final failure is the last, a retryable one is followed by another attempt while there are any (B-68, B-62)", () => {
  const held = always(({ was, task, place }) => {
    if (task.failures === was.failures) return true;
    const isAlive = task.updatedAt < endOfLife(task);
    const left = isAlive && task.failures < (task.options?.retry?.maxAttempts ?? taskDefaults.retry.maxAttempts);
    return place === (task.failure?.retryable === true && left ? "backoff" : "failed");
  });
  expect(held).not.toThrow();
});

test("statuses only move forward: scheduled comes first, nothing follows an end (I-9, B-12)", () => {
  const held = always(({ next, task }) => {
    const [first, ...rest] = task.history.map(([, status]) => status);
    const ended = next.snapshot.status === "done";
    return (
      first === "scheduled" &&
      !rest.includes("scheduled") &&
      !rest.slice(0, -1).some(isTerminal) &&
      isTerminal(statusOf(task)) === ended
    );
  });
  expect(held).not.toThrow();
});

test("times are in order: scheduled, started, ended, and those of the history (B-12)", () => {
  const held = always(({ task }) => {
    const { scheduledAt, startedAt, endedAt, updatedAt, history } = task;
    const times = [scheduledAt, startedAt, endedAt].filter((time) => time !== undefined);
    return ordered(times) && ordered([...history.map(([at]) => at), updatedAt]);
  });
  expect(held).not.toThrow();
});

test("no answer but one of the current attempt, before its deadline, makes a success (I-2, B-64)", () => {
  const held = always(({ was, task, from, place }) => {
    if (place !== "succeeded" || from === "succeeded") return true;
    return task.attempt === was.attempt && (task.endedAt ?? 0) < (was.deadline ?? Infinity) && task.response === answer;
  });
  expect(held).not.toThrow();
});

test("every dispatch has a number of its own, which grows (I-2)", () => {
  const dispatched = (life: Life): number[] =>
    stepsOf(life).flatMap(({ effects }) =>
      effects.filter(({ type }) => type === "dispatch").map(({ params }) => (params as { attempt: number }).attempt),
    );
  const strictlyGrowing = fc.property(anyLife, (life) => {
    const numbers = dispatched(life);
    return ordered(numbers) && new Set(numbers).size === numbers.length;
  });
  expect(() => fc.assert(strictlyGrowing, { numRuns: 400 })).not.toThrow();
});

test("an attempt that is given up before its agent has answered is aborted once (B-25)", () => {
  const answered = new Set(["succeeded", "X", "Y", "drain"]);
  const held = always(({ effects, from, place, task }) => {
    if (from !== "started" || place === "started") return true;
    const aborts = effects.filter(({ type }) => type === "abort").length;
    const own = [place, task.failure?.code, task.reason].some((word) => word !== undefined && answered.has(word));
    return aborts === 1 || (own && aborts === 0);
  });
  expect(held).not.toThrow();
});

test("the same events at the same times make the same task on every node (I-5)", () => {
  const same = fc.property(anyLife, (life) => {
    const [first, second] = [stepsOf(life), stepsOf(life)].map((steps) =>
      JSON.stringify(steps.map(({ task, next }) => [task, next.timers])),
    );
    return first === second;
  });
  expect(() => fc.assert(same, { numRuns: 100 })).not.toThrow();
});
