import { InvalidError, planMachine, scheduleMachine, type Machine } from "@ergon/core";
import { sameValue } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

function isSame({ meaning }: Machine, a: unknown, b: unknown): boolean {
  return sameValue(meaning?.(a), meaning?.(b));
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("the order of keys and absent fields say nothing; everything else does", () => {
  expect(sameValue({ a: 1, b: { c: [1, 2], d: undefined } }, { b: { c: [1, 2] }, a: 1 })).toBe(true);
  for (const other of [{ a: 1 }, { a: 2, b: 1 }, { a: "1", b: 1 }, { a: 1, b: null }, { a: 1, b: [1] }, [1, 1], "a"])
    expect([other, sameValue({ a: 1, b: 1 }, other)]).toEqual([other, false]);
  expect(sameValue([1, 2], [2, 1])).toBe(false);
  expect(sameValue(bytes("ab"), bytes("ab"))).toBe(true);
  expect(sameValue(bytes("ab"), "ab")).toBe(false);
});

describe("a schedule", () => {
  const task = { driver: "work", payload: { a: 1, b: 2 } };
  const spec = { every: "1m", task };

  test.each<[string, object, object]>([
    ["keys in another order", spec, { task: { payload: { b: 2, a: 1 }, driver: "work" }, every: "1m" }],
    ["a duration in another unit", spec, { every: 60_000, task }],
    ["a duration in another spelling", spec, { every: "60s", task }],
    ["defaults spelt out", spec, { every: "1m", overlap: "skip", jitter: 0, catchUp: { limit: 1 }, task }],
    [
      "a task's defaults spelt out",
      spec,
      { every: "1m", task: { ...task, attemptTimeout: "60s", priority: 5, retry: { maxAttempts: 3 } } },
    ],
    [
      "a time in another zone",
      { ...spec, start: "2030-01-01T00:00:00Z" },
      { ...spec, start: "2030-01-01T01:00+01:00" },
    ],
    [
      "the zone that is the default, and other spaces",
      { cron: "0 3 * * *", task },
      { cron: " 0  3 * * * ", timeZone: "UTC", task },
    ],
    [
      "a text and its bytes",
      { every: "1m", task: { driver: "work", text: "x" } },
      { every: "1m", task: { driver: "work", payload: bytes("x"), contentType: "text/plain" } },
    ],
    [
      "a machine's input in another order",
      { every: "1m", machine: "order", input: { a: 1, b: 2 } },
      { every: "1m", input: { b: 2, a: 1 }, machine: "order" },
    ],
    [
      "a plan with its defaults spelt out",
      { every: "1m", plan: { steps: [{ driver: "work", attemptTimeout: "1m" }] } },
      { every: "1m", plan: { mode: "sequence", steps: [{ id: "0", driver: "work" }] } },
    ],
  ])("a schedule is the same with %s", (_, one, other) => {
    expect(isSame(scheduleMachine, one, other)).toBe(true);
  });

  test.each<[string, object]>([
    ["interval", { every: "2m", task }],
    ["overlap", { ...spec, overlap: "queue" }],
    ["catch-up", { ...spec, catchUp: { limit: 0 } }],
    ["payload", { every: "1m", task: { driver: "work", payload: { a: 1, b: 3 } } }],
    ["kind of payload", { every: "1m", task: { driver: "work", text: '{"a":1,"b":2}' } }],
    ["driver", { every: "1m", task: { ...task, driver: "other" } }],
    ["task option", { every: "1m", task: { ...task, attemptTimeout: "2m" } }],
    ["start", { ...spec, start: "2030-01-01T00:00:00Z" }],
  ])("a schedule with another %s is another schedule", (_, other) => {
    expect(isSame(scheduleMachine, spec, other)).toBe(false);
  });
});

describe("a plan", () => {
  const steps = [
    { id: "a", driver: "work", payload: { x: 1 }, compensate: { driver: "undo", attemptTimeout: "1m" } },
    { id: "b", plan: [{ driver: "work" }], dependsOn: ["a"] },
    { id: "c", machine: "order", input: { x: 1, y: 2 }, dependsOn: ["b"] },
  ];

  test("a plan is the same in another spelling, inner plans and compensations too", () => {
    const other = {
      mode: "graph",
      onFailure: "stop",
      steps: [
        { payload: { x: 1 }, driver: "work", id: "a", standalone: false, compensate: { driver: "undo" } },
        { dependsOn: ["a"], id: "b", plan: { steps: [{ id: "0", driver: "work", priority: 5 }] } },
        { dependsOn: ["b"], id: "c", input: { y: 2, x: 1 }, machine: "order" },
      ],
    };
    expect(isSame(planMachine, { steps }, other)).toBe(true);
    expect(isSame(planMachine, steps, other)).toBe(true);
  });

  test.each<[string, unknown]>([
    ["order of steps", { steps: [steps[1], steps[0], steps[2]] }],
    ["mode of failure", { steps, onFailure: "continue" }],
    ["inner plan", { steps: [steps[0], { ...steps[1], plan: [{ driver: "other" }] }, steps[2]] }],
    ["compensation", { steps: [{ ...steps[0], compensate: { driver: "undo2" } }, steps[1], steps[2]] }],
  ])("a plan with another %s is another plan", (_, other) => {
    expect(isSame(planMachine, { steps }, other)).toBe(false);
  });
});

test("a spec with faults has no meaning: its faults are named", () => {
  expect(() => scheduleMachine.meaning?.({ every: "1m", plan: { steps: [{}] } })).toThrow(InvalidError);
  expect(() => scheduleMachine.meaning?.({ every: "1m", machine: "plan", input: { steps: [{}] } })).toThrow(/^input\./);
  expect(() => planMachine.meaning?.({ steps: [] })).toThrow(InvalidError);
});
