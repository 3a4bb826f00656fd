import path from "node:path";

import { createNames } from "@ergon/core/engine";
import { connect as connectClassic } from "nats";
import { expect, test, vi } from "vitest";

import { createLocal } from "../support/cluster-local.ts";
import { root as repository } from "../support/documents.ts";
import { startTestServer } from "../support/nats-server.ts";

const namespace = "guarded";
const { root } = createNames(namespace);
const inbox = "_INBOX.>";

/** Roles as NATS permissions: what a user may not do, the server refuses (docs/protocol.md, "Permissions"). */
const users = [
  { user: "node", password: "n" },
  {
    user: "reader",
    password: "r",
    permissions: {
      publish: [`${root}.get.*`, `${root}.wait.*`, `${root}.cluster.*`],
      subscribe: [inbox, `${root}.owned.*`],
    },
  },
  {
    user: "writer",
    password: "w",
    permissions: {
      publish: [`${root}.submit.work`, `${root}.get.*`, `${root}.wait.*`],
      subscribe: [inbox, `${root}.owned.*`],
    },
  },
];

test("a caller without the role is refused, and those with theirs can do their part", async () => {
  const server = await startTestServer({ configuration: { authorization: { users } } });
  const as = (user: string): string => server.url.replace("nats://", `nats://${user}:${user.slice(0, 1)}@`);
  const { local, stop } = createLocal(as("node"), namespace);
  await local.node();
  await local.agent({ driver: "work", handler: ({ payload }) => payload });
  const client = (user: string) => local.client({ timeoutMs: 500, nats: { servers: as(user) } });
  const [reader, writer] = [await client("reader"), await client("writer")];

  const done = await writer.submit({ driver: "work", id: "mine", text: "x" });
  expect((await done.response()).text()).toBe("x");
  expect(await reader.get("mine")).toMatchObject({ status: "succeeded" });
  const refused = await Promise.all(
    [
      reader.submit({ driver: "work" }),
      reader.cancel("mine"),
      writer.submit({ driver: "other" }),
      writer.cancel("mine"),
    ].map((call: Promise<unknown>) => call.catch((error: unknown) => error)),
  );
  const stranger = await local.client({ nats: { servers: as("nobody") } }).catch((error: unknown) => error);

  expect(refused).toMatchObject(refused.map(() => ({ code: "NOT_PERMITTED", kind: "invalid" })));
  expect(stranger).toMatchObject({ code: "NOT_PERMITTED" });
  expect((await reader.list({ all: true })).tasks.map(({ id }) => id)).toEqual(["mine"]);
  await stop();
  await server.stop();
});

test("each role of docker/nats/permissions.conf does all of its part, and nothing of another's", async () => {
  for (const role of ["NODE", "AGENT", "PLAIN", "CLIENT", "ADMIN"]) vi.stubEnv(`ERGON_${role}_PASSWORD`, "p");
  const server = await startTestServer({ include: path.join(repository, "docker/nats/permissions.conf") });
  const as = (user: string) => ({
    servers: server.url.replace("nats://", `nats://${user}:p@`),
    inboxPrefix: `_INBOX_${user}`,
  });
  const { local, stop } = createLocal(server.url, "default");
  const nodes = [
    await local.node({ buckets: 4, nats: as("node") }),
    await local.node({ buckets: 4, nats: as("node") }),
  ];
  const agent = await local.agent({
    driver: "work",
    handler: async (attempt) => {
      attempt.progress({ half: true });
      return attempt.payload;
    },
    nats: as("agent"),
  });
  const plain = await connectClassic({ servers: server.url, user: "plain", pass: "p" });
  plain.subscribe("ergon.default.agent.plain", { callback: (_error, message) => void message.respond(message.data) });
  await plain.flush();
  const client = await local.client({ nats: as("client") });

  for (const driver of ["work", "plain"]) {
    const response = await client.run({ driver, id: driver, text: "x" });
    expect(response.text()).toBe("x");
  }
  const waiting = await client.submit({ driver: "nobody", id: "waiting", text: "x" });
  for await (const view of client.watch("work")) expect(view.status).toBe("succeeded");
  expect(await client.cancel(waiting.id)).toMatchObject({ status: "cancelled" });
  const again = await client.retry(waiting.id);
  expect(await client.end(again.id)).toMatchObject({ status: "failed" });
  expect((await client.batch({ tasks: [{ driver: "work", id: "batched" }] })).tasks).toHaveLength(1);
  await client.wait("batched");
  expect((await client.list({ all: true })).tasks).toHaveLength(5);
  expect((await client.nodes()).map(({ live }) => typeof live)).toEqual(["number", "number"]);
  expect((await client.agents()).map(({ id }) => id)).toEqual([agent.id]);
  // The second node goes on with the shards of the first.
  await nodes[0]?.stop();
  expect(await client.run({ driver: "work", id: "later", text: "y" })).toMatchObject({});

  const outsider = await local.client({ timeoutMs: 500, nats: as("agent") });
  const refused = await Promise.all(
    [outsider.submit({ driver: "work" }), outsider.end("work")].map((call: Promise<unknown>) =>
      call.catch((error: unknown) => error),
    ),
  );
  expect(refused).toMatchObject(refused.map(() => ({ code: "NOT_PERMITTED" })));
  expect(await local.node({ nats: as("client") }).catch((error: unknown) => error)).toMatchObject({
    code: "NOT_PERMITTED",
  });
  expect(local.log.filter(({ text }) => text === "NATS reported an error")).toEqual([]);
  const complaints = local.log.filter(({ text }) => text.startsWith("the NATS user may not publish"));
  // Of the node that a client may not be.
  expect(complaints.map(({ fields }) => fields["subject"])).toEqual(["$JS.API.INFO"]);

  await plain.close();
  await stop();
  await server.stop();
  vi.unstubAllEnvs();
});

test("a task whose driver's subject the node may not publish to waits with that reason, which the log says once", async () => {
  const denied = { user: "node", password: "n", permissions: { publish: { deny: ["svc.mail"] } } };
  const server = await startTestServer({
    configuration: { authorization: { users: [denied, { user: "boss", password: "b" }] } },
  });
  const as = (user: string): string => server.url.replace("nats://", `nats://${user}:${user.slice(0, 1)}@`);
  const { local, stop } = createLocal(as("node"), namespace);
  await local.node({ drivers: { mail: { subject: "svc.mail" } } });
  const client = await local.client({ nats: { servers: as("boss") } });
  const service = await connectClassic({ servers: server.url, user: "boss", pass: "b" });
  service.subscribe("svc.mail", { callback: (_, message) => message.respond("sent") });
  await service.flush();

  const options = { driver: "mail", attemptTimeout: "1s", retry: { maxAttempts: 1 } };
  const tasks = await Promise.all(Array.from({ length: 10 }, () => client.submit(options)));
  const reason = "this node's NATS user may not publish to svc.mail";
  await vi.waitFor(
    async () => {
      const views = await Promise.all(tasks.map((task) => task.get()));
      expect(new Set(views.map((view) => `${view.status}, ${view.failures}: ${view.reason ?? ""}`))).toEqual(
        new Set([`scheduled, 0: ${reason}`]),
      );
    },
    { timeout: 10_000 },
  );
  expect((await client.nodes())[0]).toMatchObject({ refused: ["svc.mail"] });
  expect(local.log.filter(({ fields }) => JSON.stringify(fields).includes("svc.mail"))).toHaveLength(1);

  await service.close();
  await stop();
  await server.stop();
});
