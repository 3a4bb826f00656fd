// Lists that are read page by page while tasks end.
import type { ListRequest } from "@ergon/core";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const COUNT = 240;

async function busyCluster(seed: number): Promise<MemoryCluster> {
  const cluster = createMemoryCluster({ seed, shards: 16 });
  await cluster.addNode("n1", { clockOffsetMs: 40 });
  await cluster.addNode("n2", { clockOffsetMs: -40 });
  await cluster.waitForOwners();
  const client = cluster.client();
  const tasks = Array.from({ length: COUNT }, (_, index) => ({ driver: "work", id: `t-${index}` }));
  await cluster.drive(client.batch({ tasks: tasks.slice(0, COUNT / 2) }));
  await cluster.drive(client.batch({ tasks: tasks.slice(COUNT / 2) }));
  await cluster.addAgent("a1", { concurrency: 4, handler: ({ sleep }) => sleep(2) });
  return cluster;
}

async function sweep(cluster: MemoryCluster, request: ListRequest): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of cluster.client().listAll(request)) ids.push(id);
  return ids;
}

describe("a list of all that is read while tasks end", () => {
  test.for([1, 2, 3, 4, 5, 6])(
    "a list of all that is read while tasks end has each task once (seed %i)",
    async (seed) => {
      const cluster = await busyCluster(seed);
      for (const limit of [7, 20, 60]) {
        const ids = await cluster.drive(sweep(cluster, { all: true, limit }));
        expect([ids.length, new Set(ids).size]).toEqual([COUNT, COUNT]);
      }
    },
  );

  test("a list of all that is read while tasks end has the tasks that live when it begins before those that had ended by then (M-1)", async () => {
    const cluster = await busyCluster(7);
    await cluster.clock.advance(40);
    const { tasks } = await cluster.drive(cluster.client().list({ all: true, limit: 1_000 }));
    const ended = tasks.map(({ endedAt }) => endedAt !== undefined);

    expect(new Set(ended)).toEqual(new Set([true, false]));
    expect(ended).toEqual(ended.toSorted((a, b) => Number(a) - Number(b)));
  });
});
