// Nodes and agents that are told to stop while requests are on their way to them.
import { type Message } from "@ergon/core";
import { H, decodeError } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

/** A client without the SDK: each request is sent once. Tells how it was answered. */
function asker(cluster: MemoryCluster): (subject: string, headers?: Record<string, string>) => Promise<string> {
  const { bus } = cluster.connect("stranger");
  return (subject, headers = {}) =>
    bus.request(subject, Buffer.from("x"), { headers, timeoutMs: 12_000 }).then(
      (message: Message) => decodeError(message)?.code ?? "answered",
      (error: { code: string }) => error.code,
    );
}

describe("a node that is told to stop", () => {
  test.for([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
    "a node that is told to stop answers or forwards every request that reached it (seed %i)",
    async (seed) => {
      const cluster = createMemoryCluster({ seed, shards: 16 });
      const [, stopping] = await cluster.addNodes("n1", "n2");
      const ask = asker(cluster);
      const { names } = cluster;
      await cluster.drive(ask(names.submit("none"), { [H.id]: "kept" }));
      const kinds = [
        (index: number) => ask(names.submit("none"), { [H.id]: `t-${index}` }),
        () => ask(names.submit("none")),
        () => ask(names.verb("get", "kept")),
        () => ask(names.cluster("nodes")),
        (index: number) => ask(names.verb("cancel", `t-${index - 20}`)),
      ];
      const asked: Promise<string>[] = [];
      let stopped: Promise<void> | undefined;
      for (let index = 0; index < 400; index++) {
        const kind = kinds[index % kinds.length];
        if (kind !== undefined) asked.push(kind(index));
        if (index === 100) stopped = stopping?.node.stop();
        await cluster.clock.advance(0.3);
      }
      await cluster.drive(stopped ?? Promise.resolve());

      const answers = new Map<string, number>();
      for (const answer of await cluster.drive(Promise.all(asked))) answers.set(answer, (answers.get(answer) ?? 0) + 1);
      expect(
        [...answers.keys()].filter((answer) => !["answered", "TASK_NOT_FOUND", "SHARD_MOVED"].includes(answer)),
      ).toEqual([]);
      expect(answers.get("answered")).toBeGreaterThan(300);
    },
  );

  test.for([1, 2, 3])(
    "a node that is told to stop forwards requests until a slow node has taken its shards (seed %i)",
    async (seed) => {
      const cluster = createMemoryCluster({ seed, shards: 16 });
      const [slow, stopping] = await cluster.addNodes("n1", "n2");
      const ask = asker(cluster);
      const { names } = cluster;
      if (slow !== undefined) slow.process.distanceMs = 800;
      const asked: Promise<string>[] = [];
      const stopped = stopping?.node.stop();
      for (let index = 0; index < 400; index++) {
        asked.push(ask(names.submit("none"), { [H.id]: `t-${index}` }));
        await cluster.clock.advance(10);
      }
      await cluster.drive(stopped ?? Promise.resolve());

      expect(
        (await cluster.drive(Promise.all(asked))).filter((answer) => !["answered", "SHARD_MOVED"].includes(answer)),
      ).toEqual([]);
    },
  );

  test("a node that is told to stop stores a batch that it has begun", async () => {
    for (const seed of [1, 2, 3, 4, 5, 6]) {
      const cluster = createMemoryCluster({ seed });
      const nodes = await cluster.addNodes("n1", "n2");
      const { bus } = cluster.connect("stranger");
      const body = Buffer.from(JSON.stringify({ tasks: Array.from({ length: 300 }, () => ({ driver: "none" })) }));
      const asked = bus.request(cluster.names.batch, body, { timeoutMs: 20_000 });
      await cluster.clock.advance(seed * 0.4);
      const stopped = nodes.map(async ({ node }, index) => (index === seed % 2 ? node.stop() : undefined));

      expect(decodeError(await cluster.drive(asked))).toBeUndefined();
      await cluster.drive(Promise.all(stopped));
      expect(await cluster.stored()).toHaveLength(300);
    }
  });
});

test.for([1, 2, 3, 4])(
  "an agent that is told to stop gives back what was dispatched to it meanwhile: no attempt counts as lost (seed %i)",
  async (seed) => {
    const cluster = createMemoryCluster({ seed });
    await cluster.addNodes("n1", "n2");
    const leaving = await cluster.addAgent("a1", { concurrency: 20 });
    await cluster.addAgent("a2", { concurrency: 20 });
    const client = cluster.client();
    const handles = [];
    let stopped: Promise<void> | undefined;
    for (let index = 0; index < 100; index++) {
      handles.push(client.submit({ driver: "work", id: `t-${index}` }));
      if (index === 50) stopped = leaving.agent.stop();
      await cluster.clock.advance(0.2);
    }
    await cluster.drive(Promise.all([stopped, ...handles]));
    await cluster.clock.advance(10_000);
    const stored = await cluster.stored();

    expect(stored.filter(({ status, task }) => status !== "succeeded" || task.lost > 0)).toEqual([]);
  },
);
