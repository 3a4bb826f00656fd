import { planMachine, scheduleMachine } from "@ergon/core";
import { explore, type Exploration } from "@ergon/core/testing";
import { expect, test } from "vitest";

const good = { output: "ok" };
const bad = { error: { code: "NO", message: "no" } };

const statuses = ({ ends }: Exploration): Set<unknown> => new Set(ends.map((end) => end["test"]?.status));

test("explore goes every way of a plan: whatever crashes, it ends as it does without", async () => {
  const steps = [{ driver: "reserve", compensate: { driver: "release" } }, { driver: "pay" }];
  const agents = { reserve: [good, bad], pay: [good, bad], release: [good] };

  const exploration = await explore(planMachine, { input: { steps }, agents, cancel: true });

  expect(statuses(exploration)).toEqual(new Set(["succeeded", "failed", "cancelled"]));
});

test("explore goes every way of a schedule: whatever crashes, its run starts once and is counted once", async () => {
  const input = { after: "1m", task: { driver: "work" } };

  const exploration = await explore(scheduleMachine, { input, agents: { work: [good, bad] } });

  expect(exploration.ends.map((end) => end["test"]?.output)).toMatchObject([
    { started: 1, succeeded: 1, failed: 0 },
    { started: 1, succeeded: 0, failed: 1 },
  ]);
});
