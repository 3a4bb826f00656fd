import { describe, expect } from "vitest";

import type { Member } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import type { Expected } from "../support/ledger.ts";
import { nodesOf, pointTest } from "./point-fixtures.ts";
import { agentPoints, nodePoints } from "./points.ts";

/** No session ends by itself within a test: only the proof that a node is dead gives its shards to another. */
const { test, namespace } = pointTest(60_000);

/** Far more than a take-over takes, less than any timeout that would end the task without one. */
const WITHIN_MS = 15_000;

test("a node is killed with a task at each point of a task's life: each ends once, with the right answer (B-22, B-66, I-7)", async ({
  cluster,
}) => {
  const [victim] = nodesOf(cluster) as [Member];
  const running: Promise<Expected>[] = [];
  for (const point of nodePoints(namespace)) {
    const id = await cluster.newIdAt(victim);
    const reached = victim.proxy.withhold(id, point.of(id));
    running.push(cluster.run({ id, attemptTimeout: "10m" }));
    await reached;
  }
  const killedAt = performance.now();
  await victim.kill();

  const ended = await Promise.all(running);

  expect(performance.now() - killedAt).toBeLessThan(WITHIN_MS);
  cluster.ledger.check(ended);
});

describe("a task ends once, with the right answer, when its agent is killed (M-2, B-22)", () => {
  test.for(agentPoints(namespace))("$name", async ({ name, of }, { cluster }) => {
    const id = name.replaceAll(" ", "-");
    const reached = cluster.hold("agent", of(id));
    const done = cluster.run({ id, attemptTimeout: "10m" });
    const victim = await reached;
    const killedAt = performance.now();
    await victim.kill();

    const ended = await done;

    expect(performance.now() - killedAt).toBeLessThan(WITHIN_MS);
    cluster.ledger.check([ended]);
  });

  test("in the middle of its work: the next attempt is another agent's", async ({ cluster }) => {
    const done = cluster.run({ id: "at-work", arguments: { ms: "300" }, attemptTimeout: "10m" });
    const { agent } = await eventually("the agent at work", () => cluster.ledger.of("at-work")[0]);
    await cluster.members.find(({ id }) => id === agent)?.kill();

    await done;

    const task = await cluster.client.get("at-work");
    expect(task).toMatchObject({ status: "succeeded", failures: 0 });
    // One that died idle before may have been tried in between: it counts as lost too.
    expect(task.lost).toBe(task.attempt - 1);
    expect(cluster.ledger.of("at-work").map((entry) => entry.agent === agent)).toEqual([true, false]);
    cluster.ledger.check(cluster.ended);
  });
});
