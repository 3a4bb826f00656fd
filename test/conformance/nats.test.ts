import { describeBus, describeLeaseStore, describeRecordStore } from "@ergon/core/testing";
import { afterAll, beforeAll, describe, test } from "vitest";

import { natsSuite } from "../support/nats-fixtures.ts";
import { startTestCluster, startTestServer, whenPlaced } from "../support/nats-server.ts";

/** What a block's tests run against, started once. */
function startedOnce<T extends { stop(): Promise<void> }>(start: () => Promise<T>): () => T {
  let running: T | undefined;
  beforeAll(async () => {
    running = await start();
  });
  afterAll(async () => {
    await running?.stop();
  });
  return () => {
    if (running === undefined) throw new Error("it has not been started");
    return running;
  };
}

describe("over NATS", () => {
  const server = startedOnce(() => startTestServer());
  const suite = natsSuite(() => server().url, { commitMode: "pipelined" });
  describeBus({ describe, test }, suite);
  describeRecordStore({ describe, test }, suite);
  describeLeaseStore({ describe, test }, suite);
});

describe("over NATS with sync always, two buckets, grouped commits", () => {
  const server = startedOnce(() => startTestServer({ sync: "always" }));
  const suite = natsSuite(() => server().url, { buckets: 2, commitMode: "grouped" });
  describeRecordStore({ describe, test }, suite);
});

describe("over three NATS servers, three replicas", () => {
  const cluster = startedOnce(async () => {
    const servers = await startTestCluster();
    await whenPlaced(servers);
    return servers;
  });
  const suite = natsSuite(() => cluster().urls, { replicas: 3 });
  describeRecordStore({ describe, test }, suite);
  describeLeaseStore({ describe, test }, suite);
});
