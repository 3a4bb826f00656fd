import { describe, expect, test } from "vitest";

import { createMemoryCluster } from "../support/memory-cluster.ts";

const SHARDS = 8;

describe("a handler that goes on past its attempt's deadline", () => {
  test.each([1, 20])("holds its slot, and %i tasks wait for that without an attempt", async (count) => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    await cluster.addNodes("n1");
    let calls = 0;
    await cluster.addAgent("a1", {
      driver: "deaf",
      concurrency: 1,
      handler: async () => {
        calls++;
        await new Promise((resolve) => void cluster.clock.after(10_000, () => resolve(1)));
        return calls;
      },
    });
    const client = cluster.client({ timeoutMs: 60_000 });
    const options = { driver: "deaf", attemptTimeout: "2s", retry: { initial: 0, maxAttempts: 3 } } as const;
    const ids = Array.from({ length: count }, (_, n) => `t${n}`);
    await cluster.drive(Promise.all(ids.map((id) => client.submit({ ...options, id }))));

    await cluster.clock.advance(9_000);
    const views = await cluster.drive(Promise.all(ids.map((id) => client.get(id))));
    expect(calls).toBe(1);
    expect(views.reduce((sum, { attempt }) => sum + attempt, 0)).toBeLessThanOrEqual(2);

    await cluster.clock.advance(3_000);
    expect(calls).toBe(2);
  });
});
