import { MINUTE } from "@ergon/core";
import { describeTask } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { T0, after, events, places } from "../support/task-subject.ts";

describe("offers to plain agents", () => {
  test("an offer that nobody serves leaves its number to the next", () => {
    const subject = places.unserved();
    expect(subject.task).toMatchObject({ attempt: 1, reason: "no agent serves driver d" });
    expect(subject.task.deadline).toBeUndefined();
    expect(subject.task.startedAt).toBeUndefined();
  });

  test("an offer that an agent takes starts the task at the time of the offer", () => {
    const subject = after(places.offered(), events.taken);
    expect(subject.task).toMatchObject({ startedAt: T0 + 1_000, agent: "p", deadline: T0 + 2_000 + MINUTE });
    expect(subject.effects).toEqual([]);
  });

  test("an offer that is answered before it was reported as taken starts and ends the task in one step", () => {
    const subject = after(places.offered(), events.succeeded);
    expect(describeTask(subject.task)).toMatchObject({ status: "succeeded", durationMs: 1_000, attempt: 1 });
  });

  test("an offer has no deadline, however long the server says nothing: it waits for an agent like any task", () => {
    const subject = places.offered();
    expect(subject.task.deadline).toBeUndefined();

    subject.fire("queue");

    expect(subject.task).toMatchObject({ failures: 0, failure: { code: "QUEUE_TIMEOUT" } });
  });

  test("the attempt's time begins when somebody takes the offer", () => {
    const subject = places.offered();
    subject.send(events.taken, 10_000);
    expect(subject.task.deadline).toBe(subject.at + MINUTE);
  });

  test("a started attempt that the server says nobody has waits for an agent, as if it had never begun", () => {
    const subject = after(places.offered(), { ...events.taken, agent: undefined });
    subject.send({ ...events.unserved, attempt: 1 }, 5_000);

    expect(subject.place).toBe("unserved");
    expect(subject.task).toMatchObject({ attempt: 1, failures: 0, readyAt: subject.at });
    expect(subject.task).toMatchObject({ startedAt: undefined, deadline: undefined });
    expect(describeTask(subject.task)).toMatchObject({ status: "retrying", reason: "no agent serves driver d" });
    expect(subject.effects).toEqual([]);

    after(subject, { ...events.taken, agent: undefined });
    expect(describeTask(subject.task)).toMatchObject({ status: "started", attempt: 1, failures: 0 });
  });

  test("the server's word counts for nothing about an attempt of another number, or one that an agent has", () => {
    const plain = after(places.offered(), { ...events.taken, agent: undefined });
    expect(plain.send({ ...events.unserved, attempt: 2 })).toBe(false);
    expect(places.started().send({ ...events.unserved, attempt: 1 })).toBe(false);
  });

  test("a cancelled attempt that the server says nobody has is cancelled at once", () => {
    const subject = after(places.offered(), { ...events.taken, agent: undefined }, events.cancel);
    after(subject, { ...events.unserved, attempt: 1 });
    expect(subject.place).toBe("cancelled");
  });
});
