import { describeBus, describeLeaseStore, describeRecordStore } from "@ergon/core/testing";
import { afterAll, beforeAll, describe, test } from "vitest";
import { natsSuite } from "../support/nats-fixtures.ts";
import { startTestServer } from "../support/nats-server.ts";
import type { TestServer, TestServerOptions } from "../support/nats-server.ts";

/** A server for the tests of a block, started once. */
function serverFor(options: TestServerOptions): () => string {
  let server: TestServer | undefined;
  beforeAll(async () => {
    server = await startTestServer(options);
  });
  afterAll(async () => {
    await server?.stop();
  });
  return () => server?.url ?? "";
}

describe("over NATS", () => {
  const suite = natsSuite(serverFor({}), { commitMode: "pipelined" });
  describeBus({ describe, test }, suite);
  describeRecordStore({ describe, test }, suite);
  describeLeaseStore({ describe, test }, suite);
});

describe("over NATS with sync always, two buckets, grouped commits", () => {
  describeRecordStore({ describe, test }, natsSuite(serverFor({ sync: "always" }), { buckets: 2, commitMode: "grouped" }));
});
