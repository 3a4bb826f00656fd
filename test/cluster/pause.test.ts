import { H } from "@ergon/core/engine";
import { describe, expect } from "vitest";

import type { Member } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import type { Expected } from "../support/ledger.ts";
import { nodesOf, pointTest } from "./point-fixtures.ts";
import { agentPoints, nodePoints } from "./points.ts";

const { test, namespace } = pointTest(2_000);

test("a node that is paused with a task at each point, deposed, and wakes changes nothing (T-61, M-3, M-6, I-2)", async ({
  cluster,
}) => {
  const [victim] = nodesOf(cluster) as [Member];
  const running: Promise<Expected>[] = [];
  for (const point of nodePoints(namespace)) {
    const id = await cluster.newIdAt(victim);
    const reached = victim.proxy.withhold(id, point.of(id));
    running.push(cluster.insist(id, { [H.attemptTimeout]: "10m" }));
    await reached;
  }
  victim.pause();

  const ended = await Promise.all(running);
  await cluster.waitForShards(nodesOf(cluster).filter((node) => node !== victim));
  const before = await Promise.all(ended.map(({ id }) => cluster.get(id)));
  // What it was about to do, it does now, believing that it still owns the shard: the server refuses it.
  victim.proxy.release();
  victim.resume();
  await cluster.waitForShards(nodesOf(cluster));

  expect(await Promise.all(ended.map(({ id }) => cluster.get(id)))).toEqual(before);
  // Refused, or, where the pause outlasted the wait for an acknowledgement, not known to be stored: the shard was to be taken again.
  expect(victim.errors()).toContain("a commit is in doubt");
  cluster.ledger.check(ended);
});

describe("an agent that is paused, given up and wakes changes nothing (M-3, B-62, B-64, I-2)", () => {
  test.for(agentPoints(namespace))("$name", async ({ name, of }, { cluster }) => {
    const id = name.replaceAll(" ", "-");
    const reached = cluster.hold("agent", of(id));
    const done = cluster.run({ id, attemptTimeout: 2_000 });
    const victim = await reached;
    victim.pause();

    const ended = await done;
    const before = await cluster.get(id);
    victim.proxy.release();
    victim.resume();
    await eventually("its answer is recorded or refused", () => cluster.ledger.settled(id).includes(1));

    expect(await cluster.get(id)).toEqual(before);
    cluster.ledger.check([ended]);
  });

  test("its handler is told to stop", async ({ cluster }) => {
    const done = cluster.run({ id: "at-work", attemptTimeout: 2_000, arguments: { ms: "1000" } });
    const first = await eventually("the agent at work", () => cluster.ledger.of("at-work")[0]);
    const victim = cluster.members.find(({ id }) => id === first.agent);
    victim?.pause();

    await done;
    victim?.resume();
    await eventually("the handler is told", () =>
      cluster.ledger.of("at-work").some(({ event, attempt }) => event === "stopped" && attempt === 1),
    );

    expect(await cluster.get("at-work")).toMatchObject({ status: "succeeded", attempt: 2, failures: 1 });
    cluster.ledger.check(cluster.ended);
  });
});
