import { expect, test as base } from "vitest";

import { ergon } from "../support/cli.ts";
import { createLocal, type Local } from "../support/cluster-local.ts";
import { eventually } from "../support/eventually.ts";
import { uniqueNamespace } from "../support/nats-fixtures.ts";
import { startTestServer, type TestServer } from "../support/nats-server.ts";

interface Stage {
  readonly own: TestServer;
  readonly local: Local;
  /** Lets the agent answer what it has been given. */
  readonly release: () => void;
}

/** A server of the test's own with a node, and an agent that answers once it is told to. */
const test = base.extend<{ stage: Stage }>({
  stage: async ({}, use) => {
    const own = await startTestServer();
    const { local, stop } = createLocal(own.url, uniqueNamespace());
    await local.node();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    await local.agent({
      driver: "work",
      cutOffMs: 60_000,
      handler: async ({ payload }) => {
        await released;
        return payload;
      },
    });
    await use({ own, local, release });
    release();
    await stop();
    await own.stop();
  },
});

test("submit --wait continues through an outage of NATS, says that NATS is away and back, and prints the response", async ({
  stage: { own, local, release },
}) => {
  let heard = "";
  const connection = ["--nats", own.url, "--namespace", local.namespace, "--request-timeout", "1s"];
  const client = await local.client();
  const waiting = ergon(["submit", "work", "hello", "--id", "t-1", "--wait", ...connection], {
    onErr: (text) => {
      heard += text;
    },
  });
  await eventually("the task runs", async () => {
    const { tasks } = await client.list({ driver: "work" });
    return tasks[0]?.status === "started";
  });

  await own.kill();
  await eventually("the command says why nothing happens", () => heard !== "");
  await own.restart();
  await eventually("the command says that NATS is back", () => heard.includes("reachable again"));
  release();

  expect(await waiting).toMatchObject({ code: 0, out: "hello" });
  expect(heard).toBe(
    "ergon: NATS is unreachable; still waiting for t-1, which continues\nergon: NATS is reachable again\n",
  );
});

test("a wait whose time is up while NATS is away ends with exit code 4, and names the task, which continues", async ({
  stage: { own, local },
}) => {
  const client = await local.client();
  const { id } = await client.submit({ driver: "work", id: "t-2", text: "x" });
  const connection = ["--nats", own.url, "--namespace", local.namespace];
  const stranger = await local.stranger();
  let asked = 0;
  stranger.subscribe(local.names.verb("wait", id), { callback: () => void asked++ });
  await stranger.flush();
  let heard = "";
  const waiting = ergon(["wait", id, "--timeout", "2s", ...connection], {
    onErr: (text) => {
      heard += text;
    },
  });
  await eventually("the wait has begun", () => asked > 0);
  await own.kill();

  expect((await waiting).code).toBe(4);
  expect(heard).toContain("NATS is unreachable; still waiting for t-2");
  expect(heard).toMatch(
    /NATS_UNREACHABLE: .*whether task t-2 has ended is not known: it continues, and you can wait for it again\n$/,
  );
  await own.restart();
});
