import { readFileSync } from "node:fs";
import path from "node:path";

import { createAgent, echo } from "@ergon/agents";
import { connect, createNames, silentLogger, type Logger } from "@ergon/core";
import { createNode } from "@ergon/node";
import { connect as connectClassic } from "nats";
import { expect, test as base } from "vitest";

import { root } from "../support/documents.ts";
import { eventually } from "../support/eventually.ts";
import { startTestServer } from "../support/nats-server.ts";

const passwords = { node: "n0", agent: "a0", plain: "p0", client: "c0", admin: "d0" };

/** A server with the users and permissions that docker/ ships, and what it complained of. */
const test = base.extend<{ guarded: { readonly url: string; readonly violations: string[] } }>({
  guarded: async ({}, use) => {
    const violations: string[] = [];
    const permissions = readFileSync(path.join(root, "docker/nats/permissions.conf"), "utf8");
    const server = await startTestServer({
      configuration: parsePermissions(permissions),
      onLog: (line) => {
        if (line.includes("Violation")) violations.push(line);
      },
    });
    await use({ url: server.url, violations });
    await server.stop();
  },
});

/** nats-server's configuration is written as JSON here: the roles of the file become those of its users. */
function parsePermissions(text: string): Record<string, unknown> {
  const role = (name: string): object => {
    const block = text.slice(text.indexOf(`\n${name} = {`));
    const list = (verb: string): string[] => {
      const from = block.indexOf(`${verb}: { allow: [`);
      return [...block.slice(from, block.indexOf("]", from)).matchAll(/"([^"]+)"/g)].map(([, subject = ""]) => subject);
    };
    return { publish: { allow: list("publish") }, subscribe: { allow: list("subscribe") } };
  };
  const user = (name: keyof typeof passwords, permissions?: object): object => ({
    user: name,
    password: passwords[name],
    ...(permissions === undefined ? {} : { permissions }),
  });
  return {
    accounts: {
      ERGON: {
        jetstream: "enabled",
        users: [
          user("node", role("NODE")),
          user("agent", role("AGENT")),
          user("plain", role("PLAIN_AGENT")),
          user("client", role("CLIENT")),
          user("admin"),
        ],
      },
    },
  };
}

const as = (servers: string, user: keyof typeof passwords) => ({
  servers,
  user,
  password: passwords[user],
  inboxPrefix: `_INBOX_${user}`,
});

function recorder(lines: string[]): Logger {
  const note = (_: object, text: string): void => void lines.push(text);
  return { ...silentLogger, warn: note, error: note, child: () => recorder(lines) };
}

test("the permissions of docker/nats/permissions.conf suffice for nodes, agents and clients", async ({ guarded }) => {
  const { url, violations } = guarded;
  const log: string[] = [];
  const node = () => createNode({ nats: as(url, "node"), buckets: 4 }, recorder(log));
  const first = await node();
  await first.ready;
  const second = await node();
  await using agent = createAgent({ nats: as(url, "agent"), ...echo(), signals: [], logger: recorder(log) });
  await agent.start();
  const plain = await connectClassic({ servers: url, user: "plain", pass: passwords.plain });
  plain.subscribe("ergon.default.agent.upcase", {
    queue: "upcase",
    callback: (_, attempt) => attempt.respond(attempt.string().toUpperCase()),
  });
  const client = await connect({ nats: as(url, "client") });

  const tasks = Array.from({ length: 20 }, (_, n) => ({ driver: n % 2 === 0 ? "echo" : "upcase", text: `task ${n}` }));
  const batch = await client.batch({ tasks });
  const ended = await Promise.all(batch.tasks.map(({ id }) => client.wait(id)));
  const watched = [];
  for await (const view of client.watch(batch.tasks[0]?.id ?? "")) watched.push(view.status);
  const delayed = await client.submit({ driver: "echo", delay: "1h" });
  const cancelled = await delayed.cancel();
  const again = await delayed.retry();
  const list = await client.list({ all: true });
  // The survivor takes over and reads what the first one wrote.
  await first.stop();
  const read = await eventually("all of the first node's tasks", () =>
    Promise.all(batch.tasks.map(({ id }) => client.get(id))),
  );

  expect(ended.map(({ status }) => status)).toEqual(tasks.map(() => "succeeded"));
  expect(watched.at(-1)).toBe("succeeded");
  expect(cancelled.status).toBe("cancelled");
  expect((await again.wait()).status).toBe("succeeded");
  expect(list.tasks.length).toBeGreaterThanOrEqual(21);
  expect(read.every(({ status }) => status === "succeeded")).toBe(true);
  expect(await client.agents()).toHaveLength(1);
  expect(violations).toEqual([]);
  expect(log.filter((line) => line.includes("Permissions"))).toEqual([]);

  await client.close();
  await plain.close();
  await second.stop();
});

test("a client may write to no bucket, answer for no agent, and hear no dispatch", async ({ guarded }) => {
  const { url, violations } = guarded;
  const names = createNames("default");
  const nats = await connectClassic({
    servers: url,
    user: "client",
    pass: passwords.client,
    inboxPrefix: "_INBOX_client",
  });
  const forbidden = [
    `$KV.${names.recordBucket(0)}.0.x`,
    `$KV.${names.leaseBucket}.session.x`,
    names.reply(0, "x", 1),
    names.shard(0, "admit", "x"),
    names.presence,
    names.control("a"),
    "$JS.API.STREAM.DELETE.KV_ergon_default_tasks_0",
  ];

  for (const subject of forbidden) nats.publish(subject, "x");
  nats.subscribe(names.plainAgent("echo"), { callback: () => undefined });
  nats.subscribe("_INBOX_node.>", { callback: () => undefined });
  await nats.flush();
  await eventually("the server's complaints", () => violations.length >= forbidden.length + 2);

  for (const subject of [...forbidden, names.plainAgent("echo"), "_INBOX_node.>"]) {
    expect(violations.some((line) => line.includes(`"${subject}"`))).toBe(true);
  }
  await nats.close();
});
