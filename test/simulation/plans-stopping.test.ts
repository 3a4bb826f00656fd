import { plan, type MachineView, type PlanDefinition, type StepDefinition } from "@ergon/core";
import { delay } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";
import { statuses } from "../support/plan-stage.ts";

interface Note {
  readonly what: string;
  readonly at: number;
}

/** A cluster whose agent finishes whatever it is told, and notes when each job began and ended. */
async function deafStage(): Promise<{
  cluster: MemoryCluster;
  begun: Note[];
  ended: Note[];
  start: (definition: PlanDefinition) => Promise<() => Promise<MachineView>>;
}> {
  const cluster = createMemoryCluster();
  const begun: Note[] = [];
  const ended: Note[] = [];
  await cluster.addNodes("n1", "n2");
  await cluster.addAgent("a1", {
    concurrency: 100,
    handler: async (attempt) => {
      const { what, ms = 0, fails = false } = attempt.json<{ what: string; ms?: number; fails?: boolean }>();
      begun.push({ what, at: cluster.clock.now() });
      await delay(cluster.clock, ms);
      ended.push({ what, at: cluster.clock.now() });
      if (fails) throw new Error(`${what} is broken`);
      return { of: what };
    },
  });
  const start = async (definition: PlanDefinition): Promise<() => Promise<MachineView>> => {
    const one = await cluster.drive(cluster.client({ timeoutMs: 600_000 }).plan(definition, { id: "p" }));
    return () => cluster.drive(one.wait());
  };
  return { cluster, begun, ended, start };
}

const work = (what: string, payload: object = {}, more: object = {}): StepDefinition => ({
  id: what,
  driver: "work",
  payload: { what, ...payload },
  retry: { maxAttempts: 1 },
  compensate: { driver: "work", payload: { what: `undo ${what}`, of: `\${steps.${what}.output.of}` } },
  ...more,
});
const timeOf = (notes: readonly Note[], name: string): number => notes.find(({ what }) => what === name)?.at ?? NaN;

describe.each([{ standalone: false }, { standalone: true }])(
  "a plan that stops, standalone: $standalone",
  (options) => {
    test("a plan that stops undoes nothing before the step that runs has stopped, and undoes that step too when it has succeeded", async () => {
      const { cluster, begun, ended, start } = await deafStage();
      const end = await start(plan([work("one"), work("slow", { ms: 4_000 }, { cancelGrace: "30s" })], options));
      await cluster.clock.advance(1_000);
      await cluster.drive(cluster.client().cancel("p"));

      expect(statuses(await end())).toEqual({ one: "compensated", slow: "compensated" });
      expect(begun.map(({ what }) => what)).toEqual(["one", "slow", "undo slow", "undo one"]);
      expect(timeOf(begun, "undo slow")).toBeGreaterThanOrEqual(timeOf(ended, "slow"));
    });

    test("a plan that stops waits for a step that does not stop for its cancelGrace only", async () => {
      const { cluster, begun, ended, start } = await deafStage();
      const end = await start(plan([work("one"), work("slow", { ms: 60_000 }, { cancelGrace: "5s" })], options));
      await cluster.clock.advance(1_000);
      const cancelledAt = cluster.clock.now();
      await cluster.drive(cluster.client().cancel("p"));

      expect(statuses(await end())).toEqual({ one: "compensated", slow: "cancelled" });
      expect(begun.map(({ what }) => what)).toEqual(["one", "slow", "undo one"]);
      expect(timeOf(begun, "undo one") - cancelledAt).toBeGreaterThanOrEqual(5_000);
      expect(ended.map(({ what }) => what)).not.toContain("slow");
    });

    test("a plan that stops because a parallel step has failed undoes nothing before the others have stopped", async () => {
      const { begun, ended, start } = await deafStage();
      const both = [
        work("slow", { ms: 4_000 }, { cancelGrace: "30s" }),
        work("bad", { ms: 600, fails: true }),
        work("late", {}, { dependsOn: ["slow"] }),
      ];
      const end = await start(plan([work("one"), { id: "both", plan: plan(both, { onFailure: "stop", ...options }) }]));

      expect(await end()).toMatchObject({ status: "failed" });
      expect(begun.map(({ what }) => what)).toEqual(["one", "slow", "bad", "undo slow", "undo one"]);
      expect(timeOf(begun, "undo slow")).toBeGreaterThanOrEqual(timeOf(ended, "slow"));
    });

    test("a plan that stops undoes its steps in order although all nodes are away while the step ends", async () => {
      const { cluster, begun, start } = await deafStage();
      const end = await start(plan([work("one"), work("slow", { ms: 4_000 }, { cancelGrace: "5s" })], options));
      await cluster.clock.advance(1_000);
      await cluster.drive(cluster.client().cancel("p"));
      for (const node of cluster.nodes) node.kill();
      await cluster.clock.advance(20_000);
      await cluster.addNodes("n3", "n4");

      expect(statuses(await end())).toEqual({ one: "compensated", slow: "compensated" });
      expect(begun.map(({ what }) => what)).toEqual(["one", "slow", "undo slow", "undo one"]);
    });

    test("a plan that stops waits for no step that has not begun", async () => {
      const { cluster, start } = await deafStage();
      const end = await start(plan([work("one"), work("waits", {}, { driver: "nobody" })], options));
      await cluster.clock.advance(1_000);
      const cancelledAt = cluster.clock.now();
      await cluster.drive(cluster.client().cancel("p"));

      expect(statuses(await end())).toEqual({ one: "compensated", waits: "cancelled" });
      expect(cluster.clock.now() - cancelledAt).toBeLessThan(2_000);
    });
  },
);

describe("a plan that is ended by force", () => {
  test("a plan that is ended by force while it undoes itself names the step that was being undone, and all before it", async () => {
    const { cluster, start } = await deafStage();
    const slowly = { compensate: { driver: "work", payload: { what: "undo two", ms: 60_000 } } };
    const end = await start(
      plan([
        work("zero", {}, { compensate: undefined }),
        work("one"),
        work("two", {}, slowly),
        work("bad", { fails: true }),
      ]),
    );
    await cluster.clock.advance(2_000);
    await cluster.drive(cluster.client().end("p", { reason: "enough" }));

    const view = await end();
    expect(view).toMatchObject({ status: "failed", failure: { code: "ENDED_BY_FORCE" }, undone: ["two", "one"] });
    expect(statuses(view)).toEqual({ zero: "succeeded", one: "succeeded", two: "compensation-failed", bad: "failed" });
  });
});
