import { describe, expect, test } from "vitest";

import { endsOf, submitAll } from "../support/many-tasks.ts";
import { createMemoryCluster } from "../support/memory-cluster.ts";

describe("a driver without an agent", () => {
  test("a driver without an agent leaves its tasks waiting with a reason that can be read, and starts them when an agent joins (M-14)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    const ids = await submitAll(cluster, 5);
    await cluster.clock.advance(2_000);

    const waiting = await cluster.drive(Promise.all(ids.map((id) => cluster.client().get(id))));
    expect(waiting.map(({ status }) => status)).toEqual(ids.map(() => "scheduled"));
    expect(waiting.every(({ reason = "" }) => reason.includes("driver work"))).toBe(true);

    await cluster.addAgent("a1");
    const ends = await endsOf(cluster, ids);
    expect(ends.map(({ status, failures }) => [status, failures])).toEqual(ids.map(() => ["succeeded", 0]));
  });

  test("a driver without an agent fails its tasks at their bound, and says why (M-14)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const [id = ""] = await submitAll(cluster, 1, () => ({ queueTimeout: "30s" }));

    const [end] = await endsOf(cluster, [id]);

    expect(end?.status).toBe("failed");
    expect(end?.failure).toEqual({
      code: "QUEUE_TIMEOUT",
      message: "waited 30000 ms for an agent: no agent serves driver work",
      retryable: false,
    });
    expect(Date.parse(end?.endedAt ?? "") - Date.parse(end?.scheduledAt ?? "")).toBeGreaterThanOrEqual(30_000);
    expect(Date.parse(end?.endedAt ?? "") - Date.parse(end?.scheduledAt ?? "")).toBeLessThan(30_100);
  });

  test("a driver without an agent fails a task at its bound and names the driver, also when its only agent died after the submit (B-33)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const agent = await cluster.addAgent("a1", { concurrency: 1, handler: (attempt) => attempt.sleep(3_600_000) });
    await submitAll(cluster, 1, () => ({ attemptTimeout: "2h" }));
    const [waiting = ""] = await submitAll(cluster, 1, () => ({ queueTimeout: "30s" }));
    const reasonOf = async (): Promise<string | undefined> =>
      (await cluster.drive(cluster.client().get(waiting))).reason;
    expect(await reasonOf()).toBe("waiting for a free slot of 1 agent of driver work");

    agent.kill();
    await cluster.clock.advance(5_000);
    expect(await reasonOf()).toBe("no agent serves driver work");

    const [end] = await endsOf(cluster, [waiting]);
    expect(end).toMatchObject({
      status: "failed",
      attempt: 0,
      failure: { code: "QUEUE_TIMEOUT", message: "waited 30000 ms for an agent: no agent serves driver work" },
    });
  });

  test("a task no longer names its driver's agents as missing once one came, whose slots others have", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const ids = await submitAll(cluster, 2, () => ({ queueTimeout: "30s", attemptTimeout: "2h" }));
    await cluster.clock.advance(2_000);
    const client = cluster.client();
    const reasons = async (): Promise<(string | undefined)[]> =>
      (await cluster.drive(Promise.all(ids.map((id) => client.get(id))))).map(({ reason }) => reason);
    expect(await reasons()).toEqual(ids.map(() => "no agent serves driver work"));
    const [late = ""] = await submitAll(cluster, 1, () => ({ priority: 9, attemptTimeout: "2h" }));
    await cluster.addAgent("a1", { concurrency: 1, handler: (attempt) => attempt.sleep(3_600_000) });
    await cluster.clock.advance(2_000);

    expect(await cluster.drive(client.get(late))).toMatchObject({ status: "started" });
    expect(await reasons()).toEqual(ids.map(() => "waiting for a free slot of 1 agent of driver work"));
    for (const end of await endsOf(cluster, ids))
      expect(end.failure?.message).toBe("waited 30000 ms for an agent: no agent of driver work had a free slot");
  });

  test("a driver without an agent costs no write for waiting (M-18)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    await submitAll(cluster, 5);
    await cluster.clock.advance(5_000);
    const before = cluster.writes.commits;

    await cluster.clock.advance(60_000);

    expect(cluster.writes.commits - before).toBe(0);
  });
});
