import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { text } from "node:stream/consumers";

import { silentLogger } from "@ergon/core";
import { createNode } from "@ergon/node";
import { expect, test as base } from "vitest";

import { root } from "../support/documents.ts";
import { startTestServer } from "../support/nats-server.ts";

/** Examples are about the namespace "default", so each gets a server of its own. */
const test = base.extend<{ url: string }>({
  url: async ({}, use) => {
    const server = await startTestServer();
    const node = await createNode({ nats: { servers: server.url } }, silentLogger);
    await node.ready;
    await use(server.url);
    await node.stop();
    await server.stop();
  },
});

function start(example: string, url: string) {
  const args = [
    "--conditions=@ergon/source",
    "--disable-warning=ExperimentalWarning",
    path.join(root, "examples", example),
  ];
  return spawn(process.execPath, args, {
    env: { ...process.env, NATS_URL: url },
    stdio: ["ignore", "pipe", "inherit"],
  });
}

test("hello.ts greets", async ({ url }) => {
  const hello = start("hello.ts", url);

  expect(await text(hello.stdout)).toBe("{ greeting: 'Hello, world!' }\n");
});

test("the strangers work together", async ({ url }) => {
  const agent = start("stranger-agent.mjs", url);
  await once(agent.stdout, "data");
  const client = start("stranger-client.mjs", url);

  expect(await text(client.stdout)).toBe("HELLO\n");
  agent.kill();
  await once(agent, "exit");
});
