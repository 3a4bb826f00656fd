import { H, type Message } from "@ergon/core";
import { describe, expect, test as base } from "vitest";

import { createMemoryCluster, type MemoryCluster, type NodeMember } from "../support/memory-cluster.ts";

interface Stage {
  readonly cluster: MemoryCluster;
  readonly node: NodeMember;
  /** What plain agents were given, in order, and how to answer it. */
  readonly given: { readonly attempt: string | undefined; readonly answer: (text: string) => void }[];
}

/** A plain agent has an offer, and its node lost the connection before it could know. */
const test = base.extend<{ stage: Stage }>({
  stage: async ({}, use) => {
    const cluster = createMemoryCluster({ shards: 1 });
    const node = await cluster.addNode("n1");
    await cluster.waitForOwners();
    const given: Stage["given"] = [];
    cluster.addPlainAgent("work", (message: Message, bus) => {
      const { reply = "" } = message;
      given.push({ attempt: message.header(H.attempt), answer: (text) => bus.publish(reply, Buffer.from(text)) });
    });
    await cluster.drive(cluster.client().submit({ driver: "work", id: "t" }));
    await cluster.clock.runUntil(() => given.length === 1, 10_000);
    node.disconnect();
    await cluster.clock.advance(100);
    await use({ cluster, node, given });
  },
});

describe("an offer whose node lost its connection before it knew that somebody has it", () => {
  test("is made again under its number: two may be at work, and the answer that comes first is the outcome", async ({
    stage: { cluster, node, given },
  }) => {
    node.reconnect();
    await cluster.clock.advance(3_000);
    expect(given.map(({ attempt }) => attempt)).toEqual(["1", "1"]);

    given[1]?.answer("by the second");
    await cluster.clock.advance(100);
    given[0]?.answer("by the first");
    await cluster.clock.advance(100);
    const end = await cluster.drive(cluster.client().wait("t"));

    expect(end).toMatchObject({ status: "succeeded", attempt: 1, response: { text: "by the second" } });
    expect(end.history.map(({ status }) => status)).toEqual(["scheduled", "started", "succeeded"]);
  });

  test("is not made again when its answer comes first", async ({ stage: { cluster, node, given } }) => {
    node.reconnect();
    await cluster.clock.advance(20);
    expect(given).toHaveLength(1);

    given[0]?.answer("by the first");
    await cluster.clock.advance(3_000);
    const end = await cluster.drive(cluster.client().wait("t"));

    expect(end).toMatchObject({ status: "succeeded", attempt: 1, response: { text: "by the first" } });
    expect(given).toHaveLength(1);
  });
});
