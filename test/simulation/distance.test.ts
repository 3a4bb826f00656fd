import { H } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { answerPlain, createMemoryCluster, type MemoryCluster, type NodeMember } from "../support/memory-cluster.ts";

/** After a submit, milliseconds: in this time the task is stored, and offered. */
const MOMENTS = [0.5, 1, 1.5, 2, 2.5, 3, 4, 5];
const DISTANCES = [0, 15, 35, 100];
const ids = ["t0", "t1", "t2", "t3", "t4"];

async function nodeAt(distanceMs: number): Promise<{ cluster: MemoryCluster; node: NodeMember }> {
  const cluster = createMemoryCluster({ shards: 4 });
  const node = await cluster.addNode("n1", { distanceMs });
  await cluster.waitForOwners();
  return { cluster, node };
}

/** Tasks that fail with their first timeout, of a driver that nobody serves. */
async function submitAll(cluster: MemoryCluster): Promise<void> {
  const client = cluster.client({ timeoutMs: 60_000 });
  const submits = ids.map((id) =>
    client.submit({ driver: "later", id, attemptTimeout: "1s", retry: { maxAttempts: 1 } }),
  );
  await Promise.all(submits);
}

/** How the tasks stand, each kind once. */
async function standing(cluster: MemoryCluster): Promise<string[]> {
  const client = cluster.client();
  const views = await cluster.drive(Promise.all(ids.map((id) => client.get(id))));
  return [...new Set(views.map(({ status, failures, reason }) => `${status}, ${failures} failed: ${reason ?? ""}`))];
}

async function ends(cluster: MemoryCluster): Promise<string[]> {
  const client = cluster.client({ timeoutMs: 60_000 });
  const views = await cluster.drive(Promise.all(ids.map((id) => client.wait(id))));
  return [...new Set(views.map(({ status, failures }) => `${status}, ${failures} failed`))];
}

const waits = ["scheduled, 0 failed: no agent serves driver later"];

describe.each(DISTANCES)("a node that is %i ms away from NATS, each way", (distanceMs) => {
  test("starts no task that nobody has, and gives it to the agent that comes", async () => {
    const { cluster } = await nodeAt(distanceMs);
    await cluster.drive(submitAll(cluster));

    await cluster.clock.advance(15_000);
    expect(await standing(cluster)).toEqual(waits);

    await cluster.addAgent("a1", { driver: "later" });
    expect(await ends(cluster)).toEqual(["succeeded, 0 failed"]);
  });

  test("gives each task to a plain agent that comes once, and counts it as started while that is at work", async () => {
    const { cluster } = await nodeAt(distanceMs);
    await cluster.drive(submitAll(cluster));
    await cluster.clock.advance(5_000);

    const given: string[] = [];
    cluster.addPlainAgent("later", (message, bus) => {
      given.push(message.header(H.task) ?? "");
      cluster.clock.after(600, () => answerPlain(message, bus, "done"));
    });
    await cluster.clock.runUntil(() => given.length > 0);
    await cluster.clock.advance(450);
    const first = await cluster.drive(cluster.client().get(given[0] ?? ""));
    expect(first).toMatchObject({ status: "started", attempt: 1 });

    expect(await ends(cluster)).toEqual(["succeeded, 0 failed"]);
    expect(given.toSorted()).toEqual(ids);
  });
});

describe("a task that nobody has does not start", () => {
  test.each(MOMENTS)("while the server stands still, %d ms after it was submitted", async (ms) => {
    const { cluster } = await nodeAt(0);
    const submits = submitAll(cluster);
    await cluster.clock.advance(ms);
    cluster.network.freeze();
    await cluster.clock.advance(4_000);
    cluster.network.thaw();
    await cluster.drive(submits);
    await cluster.clock.advance(5_000);

    expect(await standing(cluster)).toEqual(waits);
    await cluster.addAgent("a1", { driver: "later" });
    expect(await ends(cluster)).toEqual(["succeeded, 0 failed"]);
  });

  test.each(MOMENTS)("while the node's thread is blocked, %d ms after it was submitted", async (ms) => {
    const { cluster, node } = await nodeAt(0);
    const submits = submitAll(cluster);
    await cluster.clock.advance(ms);
    node.pause();
    await cluster.clock.advance(150);
    node.resume();
    await cluster.drive(submits);
    await cluster.clock.advance(5_000);

    expect(await standing(cluster)).toEqual(waits);
    await cluster.addAgent("a1", { driver: "later" });
    expect(await ends(cluster)).toEqual(["succeeded, 0 failed"]);
  });
});
