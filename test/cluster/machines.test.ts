import { fileURLToPath } from "node:url";

import { seededRandom } from "@ergon/core/testing";
import { expect, test as base } from "vitest";

import { startCluster, type Cluster } from "../support/cluster.ts";
import { rightAnswer } from "../support/ledger.ts";
import { tripEnd } from "../support/machines/trip.ts";
import { uniqueNamespace } from "../support/nats-fixtures.ts";
import { startTestServer } from "../support/nats-server.ts";

const INSTANCES = 50;
/** How many starts, and then ends, there are between two deaths. */
const PER_DEATH = 12;

const test = base.extend<{ cluster: Cluster }>({
  cluster: async ({}, use) => {
    const server = await startTestServer();
    const cluster = await startCluster({
      url: server.url,
      namespace: uniqueNamespace(),
      node: { machines: [fileURLToPath(new URL("../support/machines/trip.ts", import.meta.url))] },
    });
    await use(cluster);
    await cluster.stop();
    await server.stop();
  },
});

test("nodes are killed at random under instances with tasks, timers and durable children: each ends as it does in calm (B-22, I-7)", async ({
  cluster,
}) => {
  const chance = seededRandom(7);
  for (let count = 0; count < 3; count++) await cluster.startNode();
  for (let count = 0; count < 2; count++) await cluster.startAgent({ settings: { concurrency: 16 } });
  let deaths = 0;
  const replaceOne = async (): Promise<void> => {
    const nodes = cluster.members.filter(({ kind }) => kind === "node");
    await nodes[Math.floor(chance() * nodes.length)]?.kill();
    deaths++;
    await cluster.startNode();
  };

  const names = Array.from({ length: INSTANCES }, (_, index) => `trip-${index}`);
  let dying: Promise<void> = Promise.resolve();
  let steps = 0;
  const stepped = (): void => {
    if (++steps % PER_DEATH === 0) dying = dying.then(replaceOne);
  };
  const travel = async (name: string): Promise<unknown> => {
    const instance = await cluster.client.start("trip", { name }, { id: name });
    await instance.send({ type: "GO" });
    stepped();
    const output = await instance.output({ timeoutMs: 50_000 });
    stepped();
    return output;
  };
  const outputs = await Promise.all(names.map(travel));
  await dying;

  expect(outputs).toEqual(names.map((name) => tripEnd(name, rightAnswer)));
  expect(deaths).toBe(Math.floor((2 * INSTANCES) / PER_DEATH));
});
