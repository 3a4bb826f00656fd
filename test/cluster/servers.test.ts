import { connectNats, createNatsBus } from "@ergon/core/nats";
import { expect, test as base } from "vitest";

import { createLocal } from "../support/cluster-local.ts";
import { eventually } from "../support/eventually.ts";
import { uniqueNamespace } from "../support/nats-fixtures.ts";
import { startTestCluster, type TestCluster } from "../support/nats-server.ts";

const test = base.extend<{ nats: TestCluster }>({
  nats: async ({}, use) => {
    const nats = await startTestCluster();
    await use(nats);
    for (const server of nats.servers) server.resume();
    await nats.stop();
  },
});

test("a connection whose server stands still is at another one soon, however much it has written to the silent one", async ({
  nats,
}) => {
  const link = await connectNats({ servers: nats.urls, pingMs: 200 });
  const other = await connectNats({ servers: nats.urls });
  const served = createNatsBus(other);
  served.subscribe("served", ({ reply }) => served.publish(reply ?? "", new Uint8Array()));
  const silent = link.placement.server ?? "";
  // The one that answers is to be at a server that does not stand still.
  await eventually("the two are at different servers", () => {
    if (other.placement.server === silent) other.placement.move();
    return other.placement.server !== undefined && other.placement.server !== silent;
  });
  await served.flush();
  const bus = createNatsBus(link);

  nats.servers[Number(silent.slice(1)) - 1]?.pause();
  // More than the buffers between the two processes hold, so that not everything is written when the silence is noticed.
  const megabyte = new Uint8Array(1_000_000);
  for (let count = 0; count < 64; count++) bus.publish("nobody", megabyte);

  await eventually("it is at another server", () => ![undefined, silent].includes(link.placement.server));
  const answer = await eventually("it is heard there", () =>
    bus.request("served", new Uint8Array(), { timeoutMs: 1_000 }),
  );
  expect(answer.noResponders).toBe(false);
  await link.close();
  await other.close();
}, 60_000);

test("nodes that have all connected to one server of three spread over them", async ({ nats }) => {
  const { local, stop } = createLocal(nats.urls[0] ?? "", uniqueNamespace());
  await eventually(
    "three servers with JetStream",
    () => connectNats({ servers: nats.urls }).then((link) => link.close().then(() => true)),
    30_000,
  );
  for (let count = 0; count < 3; count++) await local.node();
  const client = await local.client();

  const servers = await eventually(
    "each is at a server of its own",
    async () => {
      const found = (await client.nodes()).map(({ server = "" }) => server).toSorted((a, b) => a.localeCompare(b));
      return new Set(found).size === 3 ? found : undefined;
    },
    60_000,
  );

  expect(servers).toEqual(["n1", "n2", "n3"]);
  await stop();
}, 90_000);
