// Conditions are rules that clients write: they may reach for what is not theirs, or be made to take for ever.
import { planMachine } from "@ergon/core";
import { expect, test } from "vitest";

import { job, run, stage, statuses } from "../support/plan-stage.ts";

const times = (count: number): number[] => Array.from({ length: count }, () => 1);
const accumulator = { var: "accumulator" };
const doubling = { reduce: [times(40), { merge: [accumulator, accumulator] }, [1]] };

test.for<[what: string, rule: unknown]>([
  ["lists that double", doubling],
  ["texts that double", { reduce: [times(25), { cat: [accumulator, accumulator] }, "x"] }],
  ["loops in loops", { some: [{ var: "input" }, { some: [{ val: [[2], "input"] }, { "==": [{ var: "" }, 2] }] }] }],
  ["what catches that it is stopped", { try: [doubling, true] }],
])("a rule with %s is stopped, and its step fails", async ([, when]) => {
  const { cluster, done } = await stage();
  const view = await run(cluster, { input: times(1_000), steps: [job("a", { when }), job("b")] }, "p");
  expect(view).toMatchObject({ status: "failed", failure: { message: expect.stringContaining("20000 operations") } });
  expect(done).toEqual([]);
});

test("a rule may look through a long list", async () => {
  const { cluster } = await stage();
  const input = Array.from({ length: 3_000 }, (_, id) => ({ id }));
  const has = (id: number) => ({ some: [{ var: "input" }, { "==": [{ var: "id" }, id] }] });
  const steps = [job("a", { when: has(2_999) }), job("b", { when: has(3_000) })];
  expect(statuses(await run(cluster, { input, steps }, "p"))).toEqual({ a: "succeeded", b: "skipped" });
});

test.for(["constructor", "valueOf", "__defineGetter__", "hasOwnProperty", "__proto__", "nope"])(
  "%s is no operator, wherever it stands",
  (name) => {
    const bare = JSON.parse(`{"${name}": ["a"]}`) as unknown;
    for (const when of [bare, { and: [true, bare] }, { map: [[1], bare] }, { eachKey: { a: bare } }])
      expect(() => planMachine.checkInput?.({ steps: [{ driver: "work", when }] })).toThrow(
        `Unknown Operator: ${name}`,
      );
  },
);

test("an object with two operators is no rule; data that is not run may be anything", () => {
  const check = (when: unknown) => () => planMachine.checkInput?.({ steps: [{ driver: "work", when }] });
  expect(check({ "==": [1, 1], "!=": [1, 2] })).toThrow("Unknown Operator");
  expect(check({ preserve: { a: 1, b: 2 } })).not.toThrow();
});
