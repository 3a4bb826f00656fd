import { plan, type PlanDefinition, type StepDefinition } from "@ergon/core";
import { describe, expect, test } from "vitest";

import { job, measure, run, stage } from "../support/plan-stage.ts";

describe("a large plan", () => {
  const tiny = (n: number, more: object = {}): StepDefinition => ({
    driver: "work",
    payload: { name: `s${n}` },
    ...more,
  });
  const steps = (count: number, more: (n: number) => object = () => ({})): StepDefinition[] =>
    Array.from({ length: count }, (_, n) => tiny(n, more(n)));

  test.for<[string, number, PlanDefinition, unknown]>([
    [
      "in sequence",
      10_000,
      plan(steps(10_000), { output: ["${steps.0.output.name}", "${steps.9999.output.name}"] }),
      ["s0", "s9999"],
    ],
    ["in parallel", 2_500, plan(steps(2_500), { mode: "parallel", limit: 50 }), {}],
    ["as a graph", 2_500, plan(steps(2_500, (n) => (n < 100 ? {} : { dependsOn: [String(n - 100)] }))), {}],
  ])(
    "a large plan of tiny steps runs %s: %i steps, each once, in records of a bounded size",
    { timeout: 180_000 },
    async ([, count, definition, output]) => {
      const { cluster, done, most } = await stage();
      const measured = measure(cluster);

      const view = await run(cluster, definition, "large");

      expect(view).toMatchObject({ status: "succeeded", output, counts: { succeeded: count } });
      expect([done.length, new Set(done).size]).toEqual([count, count]);
      expect(most()).toBeLessThanOrEqual(100);
      // A step is one write, seldom two: its start, where it had to wait for a slot. A segment is one more, and two of the plan itself.
      expect(measured.records).toBeLessThan(1.1 * count);
      expect(measured.largest).toBeLessThan(60 * count + 100_000);
    },
  );

  const undo = (n: number): object => ({ compensate: { driver: "work", payload: { name: `undo ${n}` } } });

  test("a large plan that fails in its third segment is undone across its segments, in reverse order; a retry runs all that was undone", async () => {
    const { cluster, done, broken } = await stage();
    broken.add("s250");
    const all = steps(300, (n) => (n % 50 === 0 ? { ...undo(n), retry: { maxAttempts: 1 } } : {}));

    const view = await run(cluster, plan(all, { output: "${steps.299.output.name}" }), "large-undo");

    expect(view).toMatchObject({ status: "failed", failure: { code: "BROKEN", message: "s250 is broken" } });
    expect(view.counts).toEqual({ succeeded: 245, compensated: 5, failed: 1, skipped: 49 });
    expect(done.slice(250)).toEqual(["undo 200", "undo 150", "undo 100", "undo 50", "undo 0"]);

    broken.clear();
    done.length = 0;
    const again = await cluster.drive(cluster.client().instance("large-undo").retry());
    const resumed = await cluster.drive(again.wait());

    expect(resumed).toMatchObject({ status: "succeeded", output: "s299", counts: { succeeded: 300 } });
    expect(done).toEqual(["s0", "s50", "s100", "s150", "s200", ...Array.from({ length: 50 }, (_, n) => `s${n + 250}`)]);
  });

  test(
    "a large plan that loses a node at one of its commits, again and again, does each step and undoes each once",
    { timeout: 120_000 },
    async () => {
      for (const commit of [1, 2, 60, 107, 216, 262, 266, 270]) {
        const { cluster, done, broken } = await stage({ seed: commit });
        broken.add("s250");
        let commits = 0;
        cluster.onCommit = (name) => {
          if (++commits === commit) cluster.nodes.find((node) => node.name === name)?.kill();
        };
        const all = steps(300, (n) => (n % 50 === 0 ? { ...undo(n), retry: { maxAttempts: 1 } } : {}));

        const view = await run(cluster, plan(all), "large-crash");

        expect({ commit, status: view.status, counts: view.counts }).toEqual({
          commit,
          status: "failed",
          counts: { succeeded: 245, compensated: 5, failed: 1, skipped: 49 },
        });
        expect([...new Set(done)].slice(250)).toEqual(["undo 200", "undo 150", "undo 100", "undo 50", "undo 0"]);
      }
    },
  );

  test("a large plan that runs in parallel isolates failures in all of its segments; a retry runs only what has failed", async () => {
    const { cluster, done, broken } = await stage();
    for (const name of ["s7", "s333"]) broken.add(name);
    const all = steps(400, () => ({ retry: { maxAttempts: 1 } }));

    const view = await run(cluster, plan(all, { mode: "parallel" }), "large-unfair");
    expect(view).toMatchObject({ status: "failed", counts: { succeeded: 398, failed: 2 } });

    broken.clear();
    done.length = 0;
    const again = await cluster.drive(cluster.client().instance("large-unfair").retry());

    expect(await cluster.drive(again.wait())).toMatchObject({ status: "succeeded", counts: { succeeded: 400 } });
    expect(done.toSorted()).toEqual(["s333", "s7"]);
  });

  test("a large plan that is cancelled stops and undoes its segments, and is cancelled", async () => {
    const { cluster, done } = await stage();
    const all = steps(250, (n) => ({ payload: { name: `s${n}`, ms: 100 }, ...(n % 100 === 0 ? undo(n) : {}) }));
    const one = await cluster.drive(cluster.client().plan(plan(all), { id: "large-cancel" }));
    await cluster.clock.advance(15_000);

    await cluster.drive(one.cancel());
    const view = await cluster.drive(one.wait());

    expect(view).toMatchObject({ status: "cancelled", counts: { compensated: 2 } });
    expect(done.slice(-2)).toEqual(["undo 100", "undo 0"]);
  });

  test("a large plan whose steps are large is cut by their size, and passes on only what later steps refer to", async () => {
    const { cluster } = await stage();
    const measured = measure(cluster);
    const text = "x".repeat(60_000);
    const all = Array.from({ length: 12 }, (_, n) => job(`b${n}`, { payload: { name: n === 0 ? "first" : text } }));

    const view = await run(
      cluster,
      plan([...all, job("end", { payload: { name: "${steps.b0.output.name} of all" } })], {
        output: "${steps.end.output.name}",
      }),
      "large-bytes",
    );

    expect(view).toMatchObject({ status: "succeeded", output: "first of all" });
    expect(measured.largest).toBeLessThan(800_000);
  });
});
