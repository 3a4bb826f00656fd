import { DAY, HOUR, MINUTE, SECOND, isTerminal, taskDefaults, taskLimits, type SparseTaskOptions } from "@ergon/core";
import { describeTask } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import {
  Subject,
  T0,
  after,
  events,
  finalFailure,
  placeNames,
  places,
  retryableFailure,
  specOf,
  timerNames,
} from "../support/task-subject.ts";

describe("the status that users see", () => {
  test.each([
    ["held", "scheduled"],
    ["delayed", "scheduled"],
    ["ready", "scheduled"],
    ["offered", "scheduled"],
    ["unserved", "scheduled"],
    ["started", "started"],
    ["backoff", "retrying"],
    ["cancelling", "started"],
    ["succeeded", "succeeded"],
    ["failed", "failed"],
    ["cancelled", "cancelled"],
  ] as const)("%s is %s", (place, status) => {
    expect(places[place]().status).toBe(status);
  });
});

describe("a task that runs to success", () => {
  test("the times of a task that succeeds are in order and its duration is between them (B-12)", () => {
    const subject = places.succeeded();

    expect(subject.task).toMatchObject({
      scheduledAt: T0,
      startedAt: T0 + 1_000,
      endedAt: T0 + 2_000,
      attempt: 1,
      failures: 0,
      lost: 0,
    });
    expect(describeTask(subject.task)).toMatchObject({
      status: "succeeded",
      durationMs: 1_000,
      response: { text: "out" },
    });
    expect(subject.task.history).toEqual([
      [T0, "scheduled", 0],
      [T0 + 1_000, "started", 1, "a"],
      [T0 + 2_000, "succeeded", 1, "a"],
    ]);
  });

  test("a task that succeeds is dispatched once, with the number of its attempt and its agent", () => {
    const subject = places.ready();

    subject.send({ type: "start", agent: "a" });

    expect(subject.effects).toEqual([{ type: "dispatch", params: { attempt: 1, agent: "a" } }]);
    subject.send(events.succeeded);
    expect(subject.effects).toEqual([]);
  });

  test("a task with an agent at hand begins with its first attempt, in one step", () => {
    const subject = new Subject(specOf(), { agent: "a" });

    expect(subject.place).toBe("started");
    expect(subject.task).toMatchObject({ attempt: 1, agent: "a", startedAt: T0, deadline: T0 + MINUTE });
    expect(subject.effects).toEqual([{ type: "dispatch", params: { attempt: 1, agent: "a" } }]);
    expect(subject.task.history.map(([, status]) => status)).toEqual(["scheduled", "started"]);
  });

  test.each([
    ["held", { batch: "b" }, {}],
    ["delayed", {}, { notBefore: T0 + 5 }],
  ] as const)("a %s task does not begin although an agent is at hand", (place, more, spec) => {
    expect(new Subject(specOf({}, spec), { agent: "a", ...more }).place).toBe(place);
  });

  test("a task that has not started has no agent, no deadline and no failures (B-60)", () => {
    const { task } = places.ready();
    expect(task).toMatchObject({ attempt: 0, failures: 0, lost: 0 });
    expect(task.agent).toBeUndefined();
    expect(task.deadline).toBeUndefined();
    expect(places.started().task).toMatchObject({ agent: "a", deadline: T0 + 1_000 + MINUTE, attempt: 1 });
  });
});

describe("timers", () => {
  test.each([
    ["held", ["total"]],
    ["delayed", ["due", "total"]],
    ["ready", ["queue", "total"]],
    ["offered", ["queue", "total"]],
    ["unserved", ["queue", "total"]],
    ["started", ["attempt", "total"]],
    ["backoff", ["backoff", "total"]],
    ["cancelling", ["grace", "total"]],
    ["succeeded", []],
    ["failed", []],
    ["cancelled", []],
  ] as const)("%s waits for no more than %j (I-3)", (place, names) => {
    expect(timerNames(places[place]().state)).toEqual([...names]);
  });

  test("the total bound counts from the submit, or from not-before, whatever happens in between", () => {
    for (const place of placeNames.filter((name) => !isTerminal(name))) {
      const subject = places[place]();
      expect(subject.due("total")).toBe((subject.task.notBefore ?? T0) + taskDefaults.totalTimeoutMs);

      subject.fire("total");

      expect(subject.task).toMatchObject({ failure: { code: "TOTAL_TIMEOUT", retryable: false } });
      expect(subject.place).toBe("failed");
    }
  });

  test("the total bound aborts the attempt that runs", () => {
    const subject = places.started();
    subject.fire("total");
    expect(subject.effects).toEqual([{ type: "abort", params: { attempt: 1, agent: "a", reason: "timeout" } }]);
  });

  test("the queue's bound fails a task that no agent takes, and says why (M-14)", () => {
    const waiting = places.ready();
    expect(waiting.due("queue")).toBe(T0 + DAY);
    waiting.fire("queue");
    expect(waiting.task.failure).toMatchObject({
      code: "QUEUE_TIMEOUT",
      message: "waited 86400000 ms for an agent: no agent of driver d had a free slot",
    });

    const unserved = places.unserved();
    expect(unserved.task.reason).toBe("no agent serves driver d");
    unserved.fire("queue");
    expect(unserved.task.failure?.message).toBe("waited 86400000 ms for an agent: no agent serves driver d");
  });

  test("the queue's bound counts from the beginning of the wait, however often it is offered", () => {
    const subject = new Subject(specOf({ queueTimeoutMs: MINUTE }));
    after(subject, events.offer, events.unserved, events.offer, events.unserved);
    expect(subject.due("queue")).toBe(T0 + MINUTE);
  });

  test("the queue's bound starts anew after an attempt", () => {
    const subject = places.backoff();
    subject.fire("backoff");
    expect(subject.due("queue")).toBe(subject.at + DAY);
  });

  test("a task with a time before which nothing begins waits until then (notBefore)", () => {
    const subject = places.delayed();
    expect(subject.due("due")).toBe(T0 + MINUTE);

    subject.fire("due", 7);

    expect(subject.place).toBe("ready");
    expect(subject.task.readyAt).toBe(T0 + MINUTE + 7);
    expect(subject.due("queue")).toBe(T0 + MINUTE + 7 + DAY);
  });

  test("a held task whose time has not come is delayed once it is released", () => {
    const subject = new Subject(specOf({}, { notBefore: T0 + HOUR }), { batch: "b" });
    after(subject, events.release);
    expect(subject.place).toBe("delayed");
    expect(subject.due("due")).toBe(T0 + HOUR);
  });
});

describe("an attempt that runs longer than its deadline", () => {
  test("an attempt that runs longer than its deadline counts as failed, its agent is told to stop, and another follows (B-62)", () => {
    const subject = places.started();
    expect(subject.due("attempt")).toBe(subject.task.deadline);

    subject.fire("attempt");

    expect(subject.place).toBe("backoff");
    expect(subject.task).toMatchObject({ failures: 1, failure: { code: "ATTEMPT_TIMEOUT", retryable: true } });
    expect(subject.task.deadline).toBeUndefined();
    expect(subject.effects).toEqual([{ type: "abort", params: { attempt: 1, agent: "a", reason: "timeout" } }]);
    subject.fire("backoff");
    expect(subject.task.agent).toBeUndefined();
    after(subject, { type: "start", agent: "b" });
    expect(subject.task).toMatchObject({ attempt: 2, agent: "b", deadline: subject.at + MINUTE });
  });

  test("an attempt that runs longer than its deadline ends the task once the attempts are used up, and none follows (B-25, B-63)", () => {
    const subject = after(new Subject(specOf({ retry: { maxAttempts: 1 } })), { type: "start", agent: "a" });

    subject.fire("attempt");

    expect(subject.place).toBe("failed");
    expect(subject.task).toMatchObject({ failures: 1, failure: { code: "ATTEMPT_TIMEOUT" }, endedAt: subject.at });
    expect(subject.effects).toEqual([{ type: "abort", params: { attempt: 1, agent: "a", reason: "timeout" } }]);
    expect(subject.state.timers).toEqual([]);
  });

  test.each(["succeeded", "failed", "final"] as const)(
    "%s after the deadline counts for nothing, even when the timer is late (B-64)",
    (name) => {
      const subject = places.started();

      expect(subject.send(events[name], MINUTE)).toBe(false);

      expect(subject.place).toBe("started");
      expect(subject.task.response).toBeUndefined();
      subject.fire("attempt", MINUTE);
      expect(subject.place).toBe("backoff");
    },
  );

  test("an answer just before the deadline of an attempt counts", () => {
    const subject = places.started();
    expect(subject.send(events.succeeded, MINUTE - 1)).toBe(true);
  });

  test("the bound of an attempt is the task's to set", () => {
    const subject = after(new Subject(specOf({ attemptTimeoutMs: 5 * SECOND })), { type: "start", agent: "a" });
    expect(subject.task.deadline).toBe(subject.at + 5 * SECOND);
  });
});

describe("retries", () => {
  const failing = (options: SparseTaskOptions, chances: readonly number[]): Subject => {
    const subject = new Subject(specOf(options));
    for (const [index, chance] of chances.entries()) {
      if (subject.place === "backoff") subject.fire("backoff");
      after(subject, { type: "start", agent: "a" });
      subject.send({ ...events.failed, attempt: index + 1 }, 10, chance);
    }
    return subject;
  };

  test("two failures and a success end in success after three attempts with growing, jittered pauses (B-26)", () => {
    const subject = after(new Subject(), { type: "start", agent: "a" });
    const pauses: number[] = [];
    for (const [attempt, chance] of [0.25, 0.75].entries()) {
      subject.send({ ...events.failed, attempt: attempt + 1 }, 10, chance);
      pauses.push((subject.due("backoff") ?? 0) - subject.at);
      subject.fire("backoff");
      after(subject, { type: "start", agent: "a" });
    }
    after(subject, { ...events.succeeded, attempt: 3 });

    expect(subject.task).toMatchObject({ attempt: 3, failures: 2 });
    expect(subject.status).toBe("succeeded");
    // 500 ms and 1,000 ms, each by a quarter less or more.
    expect(pauses).toEqual([375, 1_250]);
  });

  test("the failure that uses up the attempts ends the task (B-63)", () => {
    const subject = failing({}, [0, 0, 0]);
    expect(subject.place).toBe("failed");
    expect(subject.task).toMatchObject({ attempt: 3, failures: 3, failure: retryableFailure, reason: "X: bad" });
  });

  test("a final failure is never retried (B-68)", () => {
    const subject = places.started();
    subject.send(events.final);
    expect(subject.task).toMatchObject({ failures: 1, failure: finalFailure });
    expect(subject.place).toBe("failed");
  });

  test("a code that the policy calls final is not retried, however the agent calls it (B-68)", () => {
    expect(failing({ retry: { never: ["X"] } }, [0]).place).toBe("failed");
    expect(failing({ retry: { never: ["Z"] } }, [0]).place).toBe("backoff");
  });

  test("an agent's word when to try again at the earliest is kept", () => {
    const subject = places.started();
    subject.send({ ...events.failed, retryAfterMs: 30_000 });
    expect(subject.due("backoff")).toBe(subject.at + 30_000);

    const sooner = places.started();
    sooner.send({ ...events.failed, retryAfterMs: 1 });
    expect(sooner.due("backoff")).toBe(sooner.at + 500);
  });

  test("a pause never is longer than the policy's longest", () => {
    const subject = failing(
      { retry: { maxAttempts: 10, maxMs: 2_000, jitter: 1 } },
      [1, 1, 1, 1, 1].map(() => 0.999),
    );
    expect((subject.due("backoff") ?? 0) - subject.at).toBe(2_000);
  });

  test("a silent attempt counts as failed, and its agent is told to stop", () => {
    const subject = after(new Subject(specOf({ heartbeatTimeoutMs: 5_000 })), { type: "start", agent: "a" });

    after(subject, events.silent);

    expect(subject.place).toBe("backoff");
    expect(subject.task.failure).toEqual({
      code: "HEARTBEAT_TIMEOUT",
      message: "attempt 1 sent no heartbeat for 5000 ms",
      retryable: true,
    });
    expect(subject.effects).toEqual([{ type: "abort", params: { attempt: 1, agent: "a", reason: "timeout" } }]);
  });

  test("an attempt that was handed back costs neither failures nor losses, and the next has another number", () => {
    const subject = after(places.started(), events.returned);
    expect(subject.task).toMatchObject({ failures: 0, lost: 0, reason: "drain" });
    expect(subject.status).toBe("retrying");
    after(subject, { type: "start", agent: "b" });
    expect(subject.task.attempt).toBe(2);
  });

  test("an attempt that is handed back again and again is followed with a pause from the fourth time on", () => {
    const subject = places.started();
    for (let attempt = 1; attempt <= 3; attempt++) {
      after(subject, { type: "returned", attempt, reason: "busy" }, { type: "start", agent: "a" });
      expect(subject.task).toMatchObject({ attempt: attempt + 1 });
    }

    after(subject, { type: "returned", attempt: 4, reason: "busy" });

    expect(timerNames(subject.state)).toEqual(["backoff", "total"]);
    expect(subject.task).toMatchObject({ failures: 0, returns: 4 });
  });

  test("the pauses between returns grow, also where the retry policy has none", () => {
    const subject = new Subject(specOf({ retry: { initialMs: 0 } }));
    const pauses: number[] = [];
    for (let attempt = 1; attempt <= 7; attempt++) {
      after(subject, { type: "start", agent: "a" }, { type: "returned", attempt, reason: "AGENT_BUSY" });
      if (subject.place === "ready") continue;
      pauses.push((subject.due("backoff") ?? 0) - subject.at);
      subject.fire("backoff");
    }
    expect(pauses).toEqual([250, 500, 1_000, 2_000]);
  });
});

describe("attempts that are lost with their agents", () => {
  const losing = (maxLost: number | undefined, losses: number): Subject => {
    const subject = new Subject(specOf(maxLost === undefined ? {} : { maxLost }));
    for (let attempt = 1; attempt <= losses; attempt++)
      after(subject, { type: "start", agent: "a" }, { ...events.lost, attempt });
    return subject;
  };

  test("attempts that are lost with their agents have a budget of their own and are followed at once", () => {
    const subject = losing(undefined, 5);
    expect(subject.place).toBe("ready");
    expect(subject.task).toMatchObject({ lost: 5, failures: 0, attempt: 5, reason: "gone" });
    expect(subject.effects).toEqual([{ type: "abort", params: { attempt: 5, agent: "a", reason: "lost" } }]);
  });

  test("end the task when the budget is used up", () => {
    const subject = losing(undefined, 6);
    expect(subject.place).toBe("failed");
    expect(subject.task).toMatchObject({
      lost: 6,
      failure: { code: "AGENTS_LOST", message: "6 attempts were lost with their agents; the last: gone" },
    });
  });

  test("a budget of 0 forgives none", () => {
    expect(losing(0, 1).task.failure?.code).toBe("AGENTS_LOST");
  });

  test("an answer of a lost attempt counts for nothing (I-2, M-3)", () => {
    const subject = losing(undefined, 1);
    expect(subject.send(events.succeeded)).toBe(false);
    after(subject, { type: "start", agent: "b" });
    expect(subject.send(events.succeeded)).toBe(false);
    expect(subject.send({ ...events.succeeded, attempt: 2 })).toBe(true);
  });
});

describe("decisions", () => {
  test("a cancel before any attempt ends the task at once, with who and why (M-9)", () => {
    const subject = after(places.ready(), events.cancel);
    expect(subject.task).toMatchObject({
      cancel: { by: "me", reason: "enough" },
      reason: "cancelled by me: enough",
      endedAt: subject.at,
    });
    expect(subject.effects).toEqual([]);
  });

  test("a cancel of a running attempt tells its agent, and gives it its grace", () => {
    const subject = places.cancelling();
    expect(subject.effects).toEqual([{ type: "abort", params: { attempt: 1, agent: "a", reason: "cancelled" } }]);
    expect(subject.due("grace")).toBe(subject.at + taskDefaults.cancelGraceMs);

    subject.fire("grace");

    expect(subject.place).toBe("cancelled");
    expect(subject.task.cancel).toEqual({ by: "me", reason: "enough" });
  });

  test("a cancelled task stays cancelled by the first decision and keeps its progress, whatever its attempt answers", () => {
    const subject = places.cancelling();
    subject.send({ type: "cancel", by: "you", reason: "" });
    after(subject, events.succeeded);
    expect(subject.status).toBe("cancelled");
    expect(subject.task.cancel).toEqual({ by: "me", reason: "enough" });
    expect(subject.task.response).toEqual(Buffer.from("out"));
  });

  test("an end by force fails the task, also while it is cancelling, and aborts what runs", () => {
    for (const place of ["started", "cancelling"] as const) {
      const subject = after(places[place](), events.end);
      expect(subject.task.failure).toEqual({
        code: "ENDED_BY_FORCE",
        message: "ended by me: by force",
        retryable: false,
      });
      expect(subject.effects).toEqual([{ type: "abort", params: { attempt: 1, agent: "a", reason: "ended" } }]);
    }
  });

  test("a cancel during a pause between attempts ends the task at once", () => {
    expect(after(places.backoff(), events.cancel).status).toBe("cancelled");
  });
});

describe("the history", () => {
  test("the history is bounded: the first lines and the last stay, the middle goes", () => {
    const subject = new Subject(specOf({ maxLost: 1_000 }));
    for (let attempt = 1; attempt <= 100; attempt++)
      after(subject, { type: "start", agent: "a" }, { ...events.lost, attempt });

    const { history } = subject.task;
    expect(history).toHaveLength(taskLimits.historyEntries);
    expect(history.slice(0, 4).map(([, status, attempt]) => [status, attempt])).toEqual([
      ["scheduled", 0],
      ["started", 1],
      ["retrying", 1],
      ["started", 2],
    ]);
    expect(history.at(-1)).toEqual([subject.at, "retrying", 100, "a", "gone"]);
  });
});
