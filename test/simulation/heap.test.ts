// A heap that is full: a node takes no more than it can hold.
import { H } from "@ergon/core/engine";
import type { HeapGauge } from "@ergon/node";
import { expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

/** A heap that is full when the test says so. While records are read it is full after so many looks. */
class Heap implements HeapGauge {
  full = false;
  looks = Number.POSITIVE_INFINITY;
  readonly limitBytes = 1_000;

  isFull(): boolean {
    return this.full;
  }

  isFullNow(): boolean {
    return this.full || this.looks-- <= 0;
  }

  stop(): void {
    // It holds nothing.
  }
}

async function waiting(cluster: MemoryCluster, count: number): Promise<string[]> {
  const client = cluster.client();
  const tasks = Array.from({ length: count }, (_, index) => ({ driver: "work", id: `w${index}`, text: "x" }));
  const { tasks: stored } = await cluster.drive(client.batch({ tasks }));
  return stored.map(({ id }) => id);
}

async function allDone(cluster: MemoryCluster, ids: readonly string[]): Promise<void> {
  const client = cluster.client({ timeoutMs: 60_000 });
  const views = await cluster.drive(Promise.all(ids.map((id) => client.wait(id))));
  expect(views.map(({ status }) => status)).toEqual(ids.map(() => "succeeded"));
}

test("a node with a full heap refuses new work with OVERLOADED, continues with what it has, and takes work again once there is room (I-12)", async () => {
  const cluster = createMemoryCluster({ shards: 4 });
  const heap = new Heap();
  await cluster.addNode("n1", { heap });
  await cluster.waitForOwners();
  const ids = await waiting(cluster, 20);
  const { bus } = cluster.connect("raw");
  const submit = (): Promise<string> =>
    cluster.drive(
      bus
        .request(cluster.names.submit("work"), new Uint8Array(), { timeoutMs: 1_000 })
        .then((answer) => answer.header(H.error) ?? "stored"),
    );

  heap.full = true;
  expect(await submit()).toBe("OVERLOADED");
  await cluster.addAgent("a1");
  await allDone(cluster, ids);
  heap.full = false;

  expect(await submit()).toBe("stored");
});

test("a node with a full heap takes over no shards: they wait without a loss for one with room (I-7)", async () => {
  const lines: string[] = [];
  const cluster = createMemoryCluster({ shards: 8, onLog: (line) => lines.push(line) });
  const heap = new Heap();
  const first = await cluster.addNode("n1");
  await cluster.addNode("n2", { heap });
  await cluster.waitForOwners();
  const ids = await waiting(cluster, 40);

  heap.full = true;
  first.kill();
  await cluster.clock.advance(30_000);
  const { shards } = await cluster.drive(cluster.client({ timeoutMs: 20_000 }).shards());
  expect(shards.filter(({ node }) => node === "n2")).toHaveLength(4);
  expect(lines.filter((line) => /n2 E the heap is full/.test(line))).toHaveLength(1);

  await cluster.addAgent("a1");
  heap.full = false;
  await cluster.clock.advance(5_000);
  await allDone(cluster, ids);
});

test("shards whose records do not fit while they are read are given back, and lose none of their tasks (I-7)", async () => {
  const cluster = createMemoryCluster({ shards: 8 });
  const [first] = await cluster.addNodes("n1");
  const ids = await waiting(cluster, 40);
  first?.kill();
  const heap = new Heap();
  heap.looks = 3;
  await cluster.addNode("n2", { heap });
  await cluster.clock.advance(10_000);
  heap.full = true;
  const client = cluster.client({ timeoutMs: 20_000 });
  const held = (await cluster.drive(client.shards())).shards.filter(({ node }) => node === "n2").length;
  expect(held).toBeGreaterThan(0);
  expect(held).toBeLessThan(8);

  await cluster.addNode("n3");
  await cluster.addAgent("a1");
  heap.full = false;
  heap.looks = Number.POSITIVE_INFINITY;
  await cluster.clock.advance(40_000);

  await allDone(cluster, ids);
});

test("a long queue, which a node keeps as bytes, moves to the next owner and runs by priority (I-7)", async () => {
  const cluster = createMemoryCluster({ shards: 2 });
  const first = await cluster.addNode("n1");
  await cluster.waitForOwners();
  const client = cluster.client({ timeoutMs: 60_000 });
  const tasks = Array.from({ length: 6_000 }, (_, index) => ({
    driver: "work",
    id: `q${index}`,
    priority: index % 3,
    text: String(index % 3),
  }));
  await cluster.drive(client.batch({ tasks }));
  await cluster.clock.advance(2_000);

  first.kill();
  await cluster.addNode("n2");
  await cluster.waitForOwners();
  const begun: string[] = [];
  await cluster.addAgent("a1", { concurrency: 500, handler: (attempt) => void begun.push(attempt.text()) });
  await cluster.clock.advance(10_000);

  expect(begun).toHaveLength(6_000);
  expect(begun.slice(0, 2_000)).toEqual(Array.from({ length: 2_000 }, () => "2"));
  expect(begun.slice(-1_000)).toEqual(Array.from({ length: 1_000 }, () => "0"));
  expect(await cluster.stored()).toHaveLength(6_000);
  expect((await cluster.stored()).filter(({ live }) => live)).toEqual([]);
});
