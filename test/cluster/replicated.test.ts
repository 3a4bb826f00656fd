import { connectNats } from "@ergon/core/nats";
import { expect, test } from "vitest";

import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { uniqueNamespace } from "../support/nats-fixtures.ts";
import { startTestCluster } from "../support/nats-server.ts";
import { nodesOf } from "./point-fixtures.ts";

test("three servers, three copies: the stream's leader is killed under load, and nothing is lost or doubled", async () => {
  const namespace = uniqueNamespace();
  const nats = await startTestCluster();
  const cluster = await startCluster({ url: nats.urls[0] ?? "", servers: nats.urls, namespace, node: { replicas: 3 } });
  const options = { servers: nats.urls };
  const link = await eventually("three servers with JetStream", () => connectNats({ servers: nats.urls }), 30_000);
  await cluster.startNode(options);
  await cluster.startNode(options);
  await cluster.startAgent(options);
  await cluster.waitForShards(nodesOf(cluster));
  const before = Array.from({ length: 50 }, (_, index) => cluster.run({ id: `before-${index}` }));
  await Promise.all(before);

  // The ledger and the first connection of each process are at the first server: another one is to lead.
  const stream = `KV_ergon_${namespace}_tasks_0`;
  const leaderOf = async (): Promise<string> =>
    (await link.api.demand<{ cluster: { leader?: string } }>(`STREAM.INFO.${stream}`)).cluster.leader ?? "";
  const leader = await eventually("a leader that may be killed", async () => {
    const name = await leaderOf();
    if (name === "n1") await link.api.demand(`STREAM.LEADER.STEPDOWN.${stream}`);
    return name === "n2" || name === "n3" ? name : undefined;
  });
  const during = Array.from({ length: 50 }, (_, index) =>
    cluster.run({ id: `during-${index}`, attemptTimeout: "10m" }),
  );
  await nats.servers[Number(leader.slice(1)) - 1]?.kill();
  await Promise.all(during);
  await cluster.run({ id: "after" });

  const tasks = await Promise.all(cluster.ended.map(({ id }) => cluster.client.get(id)));
  expect(tasks.map(({ status }) => status)).toEqual(tasks.map(() => "succeeded"));
  expect(await leaderOf()).not.toBe(leader);
  cluster.ledger.check(cluster.ended);
  await link.close();
  await cluster.stop();
  await nats.stop();
}, 90_000);
