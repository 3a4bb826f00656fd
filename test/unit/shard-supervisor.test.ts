import { silentLogger } from "@ergon/core";
import { delay, type RecordStore } from "@ergon/core/engine";
import { startNode } from "@ergon/node";
import { expect, test } from "vitest";

import { createMemoryCluster } from "../support/memory-cluster.ts";

test("a node that joins while another is still loading the shards gets its share of them", async () => {
  const cluster = createMemoryCluster({ shards: 8 });
  const { clock, random } = cluster;
  const process = cluster.connect("slow");
  const load: RecordStore["load"] = async (...range) => {
    await delay(clock, 1_000);
    return process.records.load(...range);
  };
  const ports = { ...process, records: { ...process.records, load }, close: async () => process.close() };
  const settings = { sessionTtlMs: 6_000, drivers: {}, version: "0.0.0", hostName: "memory", pid: 1 };
  await cluster.drive(
    startNode({
      id: "slow",
      namespace: "default",
      ports,
      clock: clock.view(),
      random,
      logger: silentLogger,
      ...settings,
    }),
  );
  await clock.advance(500);

  await cluster.addNode("late");
  await clock.advance(5_000);

  const { shards } = await cluster.drive(cluster.client().shards());
  expect(shards.filter(({ node }) => node === "late").length).toBe(4);
});
