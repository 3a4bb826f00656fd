import type { ScheduleSpec } from "@ergon/core";
import { connectNats } from "@ergon/core/nats";
import { describe, expect } from "vitest";

import type { Cluster, Member } from "../support/cluster.ts";
import { nodesOf, pointTest } from "./point-fixtures.ts";

const { test, namespace } = pointTest(2_000);

const RUNS = 8;
const spec: ScheduleSpec = {
  every: "1s",
  runs: RUNS,
  overlap: "allow",
  catchUp: { limit: 0 },
  task: { driver: "work", text: "p", attemptTimeout: "10m", retry: { initial: 0 } },
};

/** Schedules in every shard. */
async function addSchedules({ client }: Cluster, name: string): Promise<string[]> {
  const ids = Array.from({ length: 12 }, (_, index) => `${name}-${index}`);
  await Promise.all(ids.map((id) => client.schedule({ id, ...spec }, { retention: "1h" })));
  return ids;
}

/** Each due time has had its run, whatever `catchUp` would have dropped. */
async function expectAllRuns({ client }: Cluster, ids: readonly string[]): Promise<void> {
  for (const id of ids)
    expect(await client.instance(id).wait({ timeoutMs: 60_000 })).toMatchObject({
      status: "succeeded",
      output: { started: RUNS, succeeded: RUNS, failed: 0, skipped: 0, missed: 0 },
    });
}

describe("schedules that catch up with nothing lose no due time", () => {
  test("schedules that catch up with nothing lose no due time while a node's connection swallows everything, whether theirs or another's", async ({
    cluster,
  }) => {
    const ids = await addSchedules(cluster, "silent");
    const [silent] = nodesOf(cluster) as [Member];
    silent.proxy.freeze();

    await expectAllRuns(cluster, ids);
    // It is told that it was deposed, and joins again.
    silent.proxy.release();
    await cluster.waitForShards(nodesOf(cluster));
    await expectAllRuns(cluster, ids);
  });

  test("schedules that catch up with nothing lose no due time while an operator mirrors or sources every stream of the namespace", async ({
    cluster,
  }) => {
    const { client } = cluster;
    const ids = await addSchedules(cluster, "mirrored");
    const nats = await connectNats({ servers: cluster.url });
    const { streams } = await nats.api.demand<{ readonly streams: readonly string[] }>("STREAM.NAMES", {});
    const own = streams.filter((name) => name.includes(`_${namespace}_`));
    expect(own.length).toBeGreaterThanOrEqual(2);
    for (const name of own) {
      await nats.api.demand(`STREAM.CREATE.MIRROR_${name}`, { name: `MIRROR_${name}`, mirror: { name } });
      const sources = [{ name }];
      await nats.api.demand(`STREAM.CREATE.SOURCE_${name}`, { name: `SOURCE_${name}`, sources });
    }

    await expectAllRuns(cluster, ids);
    for (const name of own)
      for (const copy of ["MIRROR", "SOURCE"]) await nats.api.demand(`STREAM.DELETE.${copy}_${name}`, {});
    await nats.close();
    expect(await client.nodes()).toHaveLength(nodesOf(cluster).length);
  });
});
