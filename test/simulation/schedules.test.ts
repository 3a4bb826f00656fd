import { expect, test } from "vitest";

import { createMemoryCluster } from "../support/memory-cluster.ts";

test("a schedule runs its task at each due time", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNodes("n1", "n2");
  await cluster.addAgent("a1", { driver: "report" });
  const client = cluster.client();
  const spec = { every: "10s", task: { driver: "report" } };
  const one = await cluster.drive(client.start("schedule", spec, { id: "s1" }));
  await cluster.clock.advance(25_000);
  expect(await cluster.drive(one.get())).toMatchObject({ state: "waiting", context: { counts: { succeeded: 2 } } });
});
