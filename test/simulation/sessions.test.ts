import { JSON_TYPE, encodeBody } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { createMemoryCluster } from "../support/memory-cluster.ts";

describe("a session whose value cannot be read", () => {
  test.each([
    ["text", Buffer.from("no JSON")],
    ["nothing", Buffer.from("null")],
    ["a number", encodeBody(5, JSON_TYPE)],
  ])(
    "a session whose value cannot be read (%s) is logged once, and its node counts like any other, until a witness finds nobody there",
    async (_, value) => {
      const lines: string[] = [];
      const cluster = createMemoryCluster({ onLog: (line) => lines.push(line) });
      await cluster.addNodes("n1", "n2");
      const client = cluster.client();
      const stranger = cluster.connect("stranger");
      stranger.bus.subscribe(cluster.names.node("stranger"), ({ reply }) => {
        if (reply !== undefined) stranger.bus.publish(reply, new Uint8Array());
      });

      for (const _renewal of ["first", "second", "third"]) {
        await cluster.drive(stranger.leases.renew("stranger", value, 6_000));
        await cluster.clock.advance(1_000);
      }

      expect(lines.filter((line) => line.includes("a session cannot be read"))).toHaveLength(2);
      const there = await cluster.drive(client.nodes());
      expect(there.map(({ id, shards }) => [id, shards > 0])).toEqual([
        ["n1", true],
        ["n2", true],
        ["stranger", false],
      ]);
      stranger.kill();
      await cluster.waitForOwners();
      expect((await cluster.drive(client.nodes())).map(({ id }) => id)).toEqual(["n1", "n2"]);
    },
  );
});

describe("an owner key of a shard that there is not", () => {
  test("an owner key of a shard that does not exist is ignored", async () => {
    const cluster = createMemoryCluster({ shards: 2 });
    await cluster.addNodes("n1");
    const { records } = cluster.connect("raw");

    for (const shard of [7, Number.NaN]) await cluster.drive(records.claim(shard, "n1", 0));
    await cluster.clock.advance(1_000);

    const { shards } = await cluster.drive(cluster.client().shards());
    expect(shards.map(({ shard }) => shard)).toEqual([0, 1]);
  });
});
