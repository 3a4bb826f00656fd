import { defineMachine, driver, type Machine } from "@ergon/core";
import { decodeFields, type RecordFields } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";
import { assign, createMachine } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const v1 = defineMachine(
  createMachine({
    id: "order",
    context: { cents: 500 },
    initial: "waiting",
    states: {
      waiting: {
        on: { pay: "paying", more: { actions: assign({ cents: ({ context }) => (context["cents"] as number) + 1 }) } },
        after: { 60_000: "late" },
      },
      paying: { invoke: { id: "payment", src: driver("payments"), onDone: "late" } },
      late: {},
    },
  }),
);
const next = (migrate: Machine["migrate"]): Machine =>
  defineMachine(
    createMachine({
      id: "order",
      context: { euros: 0 },
      initial: "open",
      states: {
        open: {
          tags: "new",
          on: {
            close: "closed",
            more: { actions: assign({ euros: ({ context }) => (context["euros"] as number) + 1 }) },
          },
        },
        closed: { type: "final" },
      },
      output: ({ context }) => context.euros,
    }),
    { version: "2", ...(migrate === undefined ? {} : { migrate }) },
  );
const v2 = next({
  1: ({ context }) => ({
    value: "open",
    context: { euros: (context["cents"] as number) / 100 },
    children: {},
    timers: [],
  }),
});

async function storedFields(cluster: MemoryCluster, id: string): Promise<RecordFields> {
  let found: RecordFields | undefined;
  const { records } = cluster.connect(`reader-${id}-${cluster.clock.monotonic()}`);
  const ranges = Array.from({ length: 8 }, (_, shard) => ({ shard, after: 0, ids: [] }));
  await cluster.drive(
    records.load(ranges, (_, record) => {
      const fields = record.id === id ? decodeFields(record.data) : undefined;
      if (fields !== undefined && !("kind" in fields)) found = fields;
    }),
  );
  if (found === undefined) throw new Error(`${id} is not stored`);
  return found;
}

/** An instance of version 1 on a node that knows that alone, which then makes room for another. */
async function deploy(
  machines: readonly Machine[],
  before?: (cluster: MemoryCluster) => Promise<void>,
): Promise<MemoryCluster> {
  const cluster = createMemoryCluster();
  const old = await cluster.addNode("old", { machines: [v1] });
  await cluster.waitForOwners();
  await cluster.drive(cluster.client().start("order", undefined, { id: "o" }));
  await before?.(cluster);
  await cluster.addNode("new", { machines });
  await cluster.drive(old.node.stop());
  old.gone = true;
  await cluster.waitForOwners();
  return cluster;
}

describe("an instance of a version that another takes over", () => {
  test("an instance of a version that another takes over stays as it is while nothing reaches it, and is moved with the next event, in one write", async () => {
    const cluster = await deploy([v1, v2]);
    const one = cluster.client().instance("o");
    expect(await cluster.drive(one.get())).toMatchObject({ version: "1", state: "waiting", context: { cents: 500 } });
    const before = cluster.writes.records;
    await cluster.drive(one.send({ type: "more" }));

    expect(cluster.writes.records - before).toBe(1);
    expect(await cluster.drive(one.get())).toMatchObject({
      version: "2",
      state: "open",
      context: { euros: 6 },
      stateTags: ["new"],
      history: [{ state: "waiting" }, { state: "open", reason: "migrated from version 1" }],
    });
    expect(await storedFields(cluster, "o")).toMatchObject({ version: "2", timers: [], snapshot: { value: "open" } });
    await cluster.drive(one.send({ type: "close" }));
    expect(await cluster.drive(one.output())).toBe(6);
  });

  test("an instance of a version that another takes over is moved when it is asked which events it takes, since these are what it will be sent", async () => {
    const cluster = await deploy([v1, v2]);

    expect(await cluster.drive(cluster.client().instance("o").can())).toMatchObject({ events: ["close", "more"] });
  });

  test("an instance of a version that another takes over is moved when a node loads it that does not know its version any more, and that is stored", async () => {
    const cluster = await deploy([v2]);
    await cluster.clock.advance(1_000);

    expect(await cluster.drive(cluster.client().shards())).not.toMatchObject({
      shards: expect.arrayContaining([expect.objectContaining({ waitsFor: expect.anything() as unknown })]) as unknown,
    });
    expect(await storedFields(cluster, "o")).toMatchObject({ version: "2", snapshot: { value: "open" } });
    await cluster.drive(cluster.client().instance("o").send({ type: "close" }));
    expect(await cluster.drive(cluster.client().instance("o").output())).toBe(5);
  });

  test("an instance that has ended can be read where its version is not known any more", async () => {
    const ended = defineMachine(
      createMachine({ id: "order", context: {}, initial: "end", states: { end: { type: "final" } }, output: 7 }),
    );
    const cluster = createMemoryCluster();
    const old = await cluster.addNode("old", { machines: [ended] });
    await cluster.waitForOwners();
    await cluster.drive(cluster.client().start("order", undefined, { id: "o" }));
    await cluster.addNode("new", { machines: [v2] });
    await cluster.drive(old.node.stop());
    old.gone = true;
    await cluster.waitForOwners();
    const one = cluster.client().instance("o");

    expect(await cluster.drive(one.get())).toMatchObject({ version: "1", status: "succeeded", state: "end" });
    expect(await cluster.drive(one.output())).toBe(7);
    expect((await cluster.drive(cluster.client().list({ all: true }))).tasks).toMatchObject([
      { id: "o", version: "1" },
    ]);
  });

  test("an instance of a version that another takes over is moved by name, also back", async () => {
    const back = defineMachine(v1.logic, { migrate: { 2: () => ({ value: "late", context: { cents: 1 } }) } });
    const cluster = await deploy([back, v2]);
    const one = cluster.client().instance("o");

    expect(await cluster.drive(one.migrate())).toMatchObject({ version: "2", state: "open" });
    expect(await cluster.drive(one.migrate())).toMatchObject({ version: "2" });
    expect(await cluster.drive(one.migrate("1"))).toMatchObject({ version: "1", state: "late", context: { cents: 1 } });
    await expect(cluster.drive(one.migrate("3"))).rejects.toMatchObject({ code: "MACHINE_NOT_FOUND" });
  });

  test.for<[string, Machine["migrate"], string]>([
    [
      "throws",
      {
        1: () => {
          throw new Error("no way");
        },
      },
      "no way",
    ],
    ["answers a promise", { 1: (async () => ({})) as never }, "it must answer an object, and at once"],
    ["leads to a state that is not there", { 1: () => ({ value: "nowhere", timers: [] }) }, "nowhere"],
    ["leaves a timer that the state does not take", { 1: () => ({ value: "open" }) }, 'no timer "60000.order.waiting"'],
    [
      "gives what is none of the instance's",
      { 1: () => ({ status: "done" }) as never },
      '"status" is nothing that a migration gives',
    ],
    [
      "gives what cannot be stored",
      { 1: () => ({ value: "open", timers: [], context: { f: () => 1 } }) },
      "context.f: a function cannot be stored",
    ],
    [
      "makes it larger than a message",
      { 1: () => ({ value: "open", timers: [], context: { euros: 0, more: "x".repeat(2_000_000) } }) },
      "its record would be too large",
    ],
    ["is not there", undefined, "has no migration from 1"],
  ])("an instance whose migration %s stays on its version and continues", async ([, migrate, reason]) => {
    const cluster = await deploy([v1, next(migrate)]);
    const one = cluster.client().instance("o");

    await expect(cluster.drive(one.migrate("2"))).rejects.toMatchObject({
      code: "MIGRATION_FAILED",
      message: expect.stringContaining(reason) as string,
    });
    expect(await cluster.drive(one.send({ type: "more" }))).toMatchObject({ version: "1", context: { cents: 501 } });
    await cluster.clock.advance(60_000);
    expect(await cluster.drive(one.get())).toMatchObject({ version: "1", state: "late" });
  });

  test("an instance whose migration drops the state that asked for a task has the task cancelled", async () => {
    const cluster = await deploy([v1, v2], async (running) => {
      await running.addAgent("a1", {
        driver: "payments",
        handler: ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped")))),
      });
      await running.drive(running.client().instance("o").send({ type: "pay" }));
      await running.clock.advance(1_000);
    });
    const one = cluster.client().instance("o");
    expect(await cluster.drive(one.get())).toMatchObject({
      state: "paying",
      children: [{ driver: "payments", status: "started" }],
    });
    await cluster.drive(one.migrate());
    await cluster.clock.advance(1_000);

    expect(await cluster.drive(one.get())).toMatchObject({ version: "2", state: "open", children: [] });
    expect(cluster.agents[0]?.agent.running).toBe(0);
  });

  test("an instance of a version that another takes over is whole on one version or on the other, whichever write its node dies at (I-7)", async () => {
    for (let fatal = 1; fatal <= 4; fatal++) {
      const cluster = createMemoryCluster({ seed: fatal });
      await cluster.addNode("old", { machines: [v1] });
      await cluster.waitForOwners();
      const client = cluster.client();
      for (let n = 0; n < 24; n++) await cluster.drive(client.start("order", undefined, { id: `o${n}` }));
      const [old] = cluster.nodes;
      await cluster.addNode("n2", { machines: [v1, v2] });
      let commits = 0;
      cluster.onCommit = (node) => {
        if (node === "n1" && ++commits === fatal) cluster.nodes.find(({ name }) => name === "n1")?.kill();
      };
      await cluster.addNode("n1", { machines: [v2] });
      await cluster.drive(old?.node.stop() ?? Promise.resolve());
      if (old !== undefined) old.gone = true;
      await cluster.clock.advance(15_000);

      expect(commits).toBeGreaterThanOrEqual(fatal);
      for (let n = 0; n < 24; n++) {
        const one = client.instance(`o${n}`);
        const view = await cluster.drive(one.get());
        expect([
          { version: "1", state: "waiting", context: { cents: 500 } },
          { version: "2", state: "open", context: { euros: 5 } },
        ]).toContainEqual({ version: view.version, state: view.state, context: view.context });
        await cluster.drive(one.send({ type: "close" }));
        expect(await cluster.drive(one.output())).toBe(5);
      }
    }
  });
});
