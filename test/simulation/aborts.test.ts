import { SECOND, defineMachine, driver, type Client } from "@ergon/core";
import { describe, expect, test } from "vitest";
import { setup } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const task = { attemptTimeout: "5m" } as const;
const COUNT = 8;

const logic = setup({ actors: { work: driver("work", { task }) } }).createMachine({
  id: "invoking",
  initial: "on",
  states: { on: { invoke: { src: "work" }, on: { LEAVE: "off" } }, off: {} },
});

/** Ways in which attempts come to count for nothing while they run, each with the reason that their handlers hear. */
const ways = {
  "a cancel": { reason: "cancelled", more: {}, decide: (client: Client, id: string) => client.cancel(id) },
  "a decision to end them": { reason: "ended", more: {}, decide: (client: Client, id: string) => client.end(id) },
  "the end of the time that they may take": {
    reason: "timeout",
    more: { totalTimeout: "20s" },
    decide: () => Promise.resolve(),
  },
} as const;

/** A cluster with an agent that tells when each of its handlers heard that it is to stop, and why. */
async function createStage(): Promise<{
  cluster: MemoryCluster;
  client: Client;
  told: [reason: string, at: number][];
}> {
  const cluster = createMemoryCluster({ machines: [defineMachine(logic)] });
  await cluster.addNodes("n1", "n2");
  const told: [string, number][] = [];
  await cluster.addAgent("a1", {
    concurrency: 20,
    handler: async (attempt) => {
      attempt.signal.addEventListener("abort", () => {
        told.push([(attempt.signal.reason as { reason: string }).reason, cluster.clock.monotonic()]);
      });
      await attempt.sleep(60 * SECOND);
    },
  });
  return { cluster, client: cluster.client(), told };
}

async function submitAll(cluster: MemoryCluster, client: Client, more: object): Promise<string[]> {
  const submits = Array.from({ length: COUNT }, () => client.submit({ driver: "work", ...task, ...more }));
  return (await cluster.drive(Promise.all(submits))).map(({ id }) => id);
}

/** From the next commit on nothing that anybody says arrives, for a tenth of a second. Answers when that is over, and which node has committed. */
async function losesWhatFollows(cluster: MemoryCluster): Promise<{ healedAt: number; committed: string }> {
  let committed = "";
  cluster.onCommit = (node) => {
    committed = node;
    cluster.network.faults.drop = 1;
  };
  await cluster.clock.runUntil(() => committed !== "", 60 * SECOND);
  await cluster.clock.advance(100);
  cluster.onCommit = () => undefined;
  cluster.network.faults.drop = 0;
  return { healedAt: cluster.clock.monotonic(), committed };
}

describe("the word to the agent that attempts are to stop is lost", () => {
  test.for(Object.entries(ways))(
    "every handler is told to stop within two seconds although the abort was lost after %s (M-19)",
    async ([, way]) => {
      const { cluster, client, told } = await createStage();
      const ids = await submitAll(cluster, client, way.more);
      await cluster.clock.advance(SECOND);

      const decided = Promise.all(ids.map((id) => way.decide(client, id)));
      const { healedAt } = await losesWhatFollows(cluster);
      const heardBefore = told.length;
      await cluster.drive(decided);
      await cluster.clock.advance(2 * SECOND);

      expect(heardBefore).toBeLessThan(COUNT);
      expect(told.map(([reason]) => reason)).toEqual(ids.map(() => way.reason));
      expect(Math.max(...told.map(([, at]) => at)) - healedAt).toBeLessThan(2 * SECOND);
    },
  );

  test("every handler is told to stop within two seconds although the abort was lost after a machine left the state that invoked the tasks", async () => {
    const { cluster, client, told } = await createStage();
    const ids = Array.from({ length: COUNT }, (_, index) => `w${index}`);
    await cluster.drive(Promise.all(ids.map((id) => client.start("invoking", undefined, { id }))));
    await cluster.clock.advance(SECOND);

    const decided = Promise.all(ids.map((id) => client.instance(id).send({ type: "LEAVE" })));
    const { healedAt } = await losesWhatFollows(cluster);
    await cluster.drive(decided);
    await cluster.clock.advance(2 * SECOND);

    expect(told.map(([reason]) => reason)).toEqual(ids.map(() => "cancelled"));
    expect(Math.max(...told.map(([, at]) => at)) - healedAt).toBeLessThan(2 * SECOND);
  });

  test("the next owner of a shard repeats a lost abort when the node dies before it can", async () => {
    const { cluster, client, told } = await createStage();
    const ids = await submitAll(cluster, client, {});
    await cluster.clock.advance(SECOND);
    const decided = Promise.all(ids.map((id) => client.end(id)));
    const { committed } = await losesWhatFollows(cluster);
    cluster.nodes.find(({ name }) => name === committed)?.kill();
    await cluster.drive(decided);
    await cluster.clock.advance(4 * SECOND);

    expect(told.map(([reason]) => ["ended", "lost"].includes(reason))).toEqual(ids.map(() => true));
  });
});

test("an abort that its agent hears is one message, and its handler hears it at once (M-19)", async () => {
  const { cluster, client, told } = await createStage();
  const aborts: string[] = [];
  cluster.connect("ear").bus.subscribe(cluster.names.control("a1"), (message) => {
    if (message.header("Ergon-Event") === "abort") aborts.push(message.header("Ergon-Task") ?? "");
  });
  const ids = await submitAll(cluster, client, {});
  await cluster.drive(Promise.all(ids.map((id) => client.cancel(id))));
  await cluster.clock.advance(20);
  expect(told).toHaveLength(COUNT);
  await cluster.clock.advance(30 * SECOND);

  expect(aborts.toSorted()).toEqual(ids.toSorted());
});

test("an abort is repeated once for an agent that has heard it and whose handler does not stop", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNodes("n1");
  await cluster.addAgent("a1", { handler: () => new Promise(() => undefined) });
  const aborts: (string | undefined)[] = [];
  cluster.connect("ear").bus.subscribe(cluster.names.control("a1"), (message) => {
    if (message.header("Ergon-Event") === "abort") aborts.push(message.reply);
  });
  const client = cluster.client();
  const { id } = await cluster.drive(client.submit({ driver: "work", ...task }));
  await cluster.clock.advance(SECOND);
  await cluster.drive(client.end(id));
  await cluster.clock.advance(4 * 60 * SECOND);

  expect(aborts.map((reply) => reply === undefined)).toEqual([true, false]);
});
