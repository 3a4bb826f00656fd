import { SECOND, defineMachine, driver } from "@ergon/core";
import { expect, test } from "vitest";
import { setup } from "xstate";

import { createMemoryCluster } from "../support/memory-cluster.ts";

/** Waits for a task that stands alone. */
const parent = defineMachine(
  setup({ actors: { work: driver("work", { standalone: true }) } }).createMachine({
    id: "parent",
    initial: "waiting",
    states: {
      waiting: { invoke: { src: "work", input: "x", onDone: "done", onError: "broken" } },
      done: { type: "final" },
      broken: { type: "final" },
    },
  }),
);

test("a child's end waits for a parent whose machine no node knows at present", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNode("n1", { machines: [parent] });
  await cluster.waitForOwners();
  await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(3 * SECOND) });
  const one = await cluster.drive(cluster.client({ timeoutMs: 600_000 }).start("parent", undefined, { id: "p" }));
  await cluster.clock.advance(SECOND);
  for (const node of cluster.nodes) node.kill();
  const stranger = await cluster.addNode("n2", { machines: [] });
  await cluster.clock.advance(30 * SECOND);
  stranger.kill();
  await cluster.addNode("n3", { machines: [parent] });

  expect(await cluster.drive(one.wait())).toMatchObject({ state: "done" });
});

test("a child whose output is too large for a message to its parent fails with that reason", async () => {
  const cluster = createMemoryCluster({ machines: [parent], maxMessageBytes: 65_536 });
  await cluster.addNodes("n1");
  // Numbers take more room in the message than in the response.
  await cluster.addAgent("a1", { handler: () => Array.from({ length: 10_000 }, () => 1.5) });
  const one = await cluster.drive(cluster.client().start("parent", undefined, { id: "p" }));

  expect(await cluster.drive(one.wait())).toMatchObject({ state: "broken" });
});
