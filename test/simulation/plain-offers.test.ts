import { type Message } from "@ergon/core";
import { H } from "@ergon/core/engine";
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
  test("an offer whose node lost its connection before it knew that somebody has it is made again under its number: two may be at work, and the answer that comes first is the outcome", async ({
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

  test("an offer whose node lost its connection before it knew that somebody has it is not made again when its answer comes first", async ({
    stage: { cluster, node, given },
  }) => {
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

describe("drivers that nobody serves", () => {
  const DRIVERS = 150;
  const LARGE = 30_000;

  /** What the node sends to subjects of plain agents, from now on: bytes by driver. */
  async function unservedBy(
    drivers: number,
    bytes: number,
  ): Promise<{ cluster: MemoryCluster; sent: [string, number][] }> {
    const cluster = createMemoryCluster({ shards: 4 });
    const { network } = cluster;
    const sent: [string, number][] = [];
    const connect = network.connect.bind(network);
    network.connect = (...options) => {
      const process = connect(...options);
      const publish = process.bus.publish.bind(process.bus);
      process.bus.publish = (subject, data, more) => {
        const driver = /\.agent\.(d\d+)$/.exec(subject)?.[1];
        if (driver !== undefined) sent.push([driver, data.length]);
        publish(subject, data, more);
      };
      return process;
    };
    await cluster.addNode("n1");
    await cluster.waitForOwners();
    const client = cluster.client();
    for (let driver = 0; driver < drivers; driver++)
      await cluster.drive(client.submit({ driver: `d${driver}`, payload: Buffer.alloc(bytes) }));
    await cluster.clock.advance(2_000);
    sent.length = 0;
    return { cluster, sent };
  }

  test("drivers that nobody serves are tried some at a time, each in its turn", async () => {
    const { cluster, sent } = await unservedBy(DRIVERS, 10);

    await cluster.clock.advance(500);
    expect(sent).toHaveLength(64);
    await cluster.clock.advance(1_000);
    expect(new Set(sent.map(([driver]) => driver)).size).toBe(DRIVERS);
  });

  test("drivers that nobody serves cost no more than so many bytes a second, however large what waits for them", async () => {
    const { cluster, sent } = await unservedBy(30, LARGE);

    await cluster.clock.advance(500);
    expect(sent.reduce((sum, [, bytes]) => sum + bytes, 0)).toBeLessThanOrEqual(262_144 + LARGE);
    await cluster.clock.advance(2_000);
    expect(new Set(sent.map(([driver]) => driver)).size).toBe(30);
  });
});
