import { defineMachine, type Machine } from "@ergon/core";
import { shardOf } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";
import { createMachine } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

/** A machine of one version: waits for `go`, then says which version it is. */
const versionOf = (id: string, version: string): Machine =>
  defineMachine(
    createMachine({
      id,
      version,
      initial: "waiting",
      states: { waiting: { on: { go: "gone" }, after: { 60_000: "late" } }, gone: { type: "final" }, late: {} },
      output: `${id}@${version}`,
    }),
  );
const v1 = versionOf("order", "1");
const v2 = versionOf("order", "2");
const other = versionOf("other", "1");
const SHARDS = 8;

/** One id in each shard. */
const ids = Array.from({ length: SHARDS }, (_, shard) => {
  for (let n = 0; ; n++) if (shardOf(`i${n}`, SHARDS) === shard) return `i${n}`;
});

async function owners(cluster: MemoryCluster): Promise<readonly (string | undefined)[]> {
  const { shards } = await cluster.drive(cluster.client().shards());
  return shards.map(({ node }) => node);
}

describe("a shard goes only to nodes that know its machines", () => {
  test("a node without machines gets shards without instances; tasks run there all the same", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    await cluster.addNode("knows", { machines: [v1] });
    await cluster.waitForOwners();
    const client = cluster.client();
    for (const id of ids.slice(0, 6)) await cluster.drive(client.start("order", undefined, { id }));
    await cluster.addNode("plain");
    await cluster.clock.advance(5_000);

    expect(await owners(cluster)).toEqual([...Array<string>(6).fill("knows"), "plain", "plain"]);
    await cluster.addAgent("a1");
    const task = await cluster.drive(client.run({ driver: "work", payload: 1, id: ids[7] ?? "" }));
    expect(task.json()).toBe(1);
  });

  test("a start in the shard of a node without machines brings the shard to one that knows the machine", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    await cluster.addNode("knows", { machines: [v1] });
    await cluster.addNode("plain");
    await cluster.waitForOwners();
    const client = cluster.client();
    for (const id of ids) await cluster.drive(client.start("order", undefined, { id }));

    await cluster.clock.advance(5_000);
    expect(new Set(await owners(cluster))).toEqual(new Set(["knows"]));
    for (const id of ids) {
      await cluster.drive(client.instance(id).send({ type: "go" }));
      expect(await cluster.drive(client.instance(id).output())).toBe("order@1");
    }
  });

  test("a rolling deploy from version 1 to both: instances stay on theirs, new ones get the newest, and none is out of reach", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    const [n1, n2] = [await cluster.addNode("n1", { machines: [v1] }), await cluster.addNode("n2", { machines: [v1] })];
    await cluster.waitForOwners();
    const client = cluster.client();
    for (const id of ids) await cluster.drive(client.start("order", undefined, { id }));
    await cluster.addNode("n3", { machines: [v1, v2] });
    for (const [n, id] of ids.entries())
      await cluster.drive(client.start("order", undefined, { id: `${id}_${n}`, version: "2" }));
    await cluster.drive(n1.node.stop());
    n1.gone = true;
    await cluster.addNode("n4", { machines: [v1, v2] });
    await cluster.drive(n2.node.stop());
    n2.gone = true;
    await cluster.waitForOwners();

    for (const id of ids) {
      const one = client.instance(id);
      expect(await cluster.drive(one.get())).toMatchObject({ version: "1", state: "waiting" });
      await cluster.drive(one.send({ type: "go" }));
      expect(await cluster.drive(one.output())).toBe("order@1");
    }
    const fresh = await cluster.drive(client.start("order"));
    expect(await cluster.drive(fresh.get())).toMatchObject({ version: "2" });
    expect((await cluster.drive(client.list({ machine: "order" }))).tasks).toHaveLength(SHARDS + 1);
  });

  test("a record whose machine nobody knows waits visibly, and continues where the machine is known again (B-21, I-7)", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    const first = await cluster.addNode("first", { machines: [v1] });
    await cluster.waitForOwners();
    const client = cluster.client();
    const id = ids[3] ?? "";
    await cluster.drive(client.start("order", undefined, { id }));
    first.kill();
    await cluster.addNode("plain");
    await cluster.waitForOwners();
    await cluster.clock.advance(5_000);

    const { shards } = await cluster.drive(client.shards());
    expect(shards.filter(({ waitsFor }) => waitsFor !== undefined)).toMatchObject([
      { shard: 3, waitsFor: ["order@1"] },
    ]);
    expect(await cluster.drive(client.nodes())).toMatchObject([
      { id: "plain", unreadable: 1, waiting: { "order@1": 1 } },
    ]);
    await expect(cluster.drive(client.get(id))).rejects.toMatchObject({ code: "TASK_UNREADABLE" });

    await cluster.addNode("back", { machines: [v1] });
    await cluster.clock.advance(5_000);
    expect((await owners(cluster))[3]).toBe("back");
    // Its timer was due meanwhile, and counts from the start.
    await cluster.clock.advance(60_000);
    expect(await cluster.drive(client.instance(id).get())).toMatchObject({ state: "late" });
  });

  test("disjoint sets: each machine's shards are where it is known; a start that no one node could host says so", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    await cluster.addNode("a", { machines: [v1] });
    await cluster.addNode("b", { machines: [other] });
    await cluster.waitForOwners();
    const client = cluster.client();
    for (const [n, id] of ids.entries())
      await cluster.drive(client.start(n % 2 === 0 ? "order" : "other", undefined, { id }));
    await cluster.clock.advance(5_000);

    expect(await owners(cluster)).toEqual(ids.map((_, n) => (n % 2 === 0 ? "a" : "b")));
    const twin = Array.from({ length: 1_000 }, (_, n) => `t${n}`).find((id) => shardOf(id, SHARDS) === 0);
    await expect(cluster.drive(client.start("other", undefined, { id: twin }))).rejects.toMatchObject({
      code: "MACHINE_NOT_FOUND",
      message: expect.stringContaining("no one node knows other and all other machines") as string,
    });
  });

  test("a version that nobody knows is refused at once", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS, machines: [v1] });
    await cluster.addNodes("a", "b");

    await expect(cluster.drive(cluster.client().start("order", undefined, { version: "9" }))).rejects.toMatchObject({
      code: "MACHINE_NOT_FOUND",
      message: "no node knows the machine order@9; start a node that registers it",
    });
  });

  test("the needs of shards cost no write beyond the sessions' renewals while nothing changes", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS, machines: [v1] });
    await cluster.addNodes("a", "b");
    const client = cluster.client();
    for (const id of ids) await cluster.drive(client.start("order", undefined, { id }));
    await cluster.clock.advance(5_000);
    const before = cluster.writes.renewals;
    await cluster.clock.advance(20_000);

    expect(cluster.writes.renewals - before).toBeLessThanOrEqual(22);
  });

  test("instances that come and go cost no write of a session each", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS, machines: [v1] });
    await cluster.addNodes("a", "b");
    const client = cluster.client();
    const comeAndGo = async (round: number): Promise<void> => {
      const one = await cluster.drive(client.start("order", undefined, { id: `${ids[round % SHARDS]}_${round}` }));
      await cluster.drive(one.send({ type: "go" }));
      await cluster.clock.advance(200);
    };
    for (let round = 0; round < 100; round++) await comeAndGo(round);
    const before = cluster.writes.renewals;
    const begin = cluster.clock.monotonic();
    for (let round = 100; round < 200; round++) await comeAndGo(round);

    expect(cluster.writes.renewals - before).toBeLessThanOrEqual(
      2 * Math.ceil((cluster.clock.monotonic() - begin) / 2_000) + 2,
    );
  });

  test("a machine that no instance of a shard needs any more does not bind it for ever", async () => {
    const cluster = createMemoryCluster({ shards: SHARDS });
    await cluster.addNode("knows", { machines: [v1] });
    await cluster.waitForOwners();
    const client = cluster.client();
    for (const id of ids)
      await cluster.drive((await cluster.drive(client.start("order", undefined, { id }))).send({ type: "go" }));
    await cluster.clock.advance(1_000);
    await cluster.addNode("plain");
    await cluster.clock.advance(5_000);
    expect(new Set(await owners(cluster))).toEqual(new Set(["knows"]));
    await cluster.clock.advance(60_000);

    expect((await owners(cluster)).filter((node) => node === "plain")).toHaveLength(SHARDS / 2);
  });
});
