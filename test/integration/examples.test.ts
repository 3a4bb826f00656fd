import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";

import { silentLogger } from "@ergon/core";
import { createNode, type NodeOptions } from "@ergon/node";
import { describe, expect, test as base } from "vitest";

import { root } from "../support/documents.ts";
import { startTestServer } from "../support/nats-server.ts";

type Example = ChildProcessByStdio<null, Readable, null>;

/** Examples are about the namespace "default", so each gets a server of its own; what still runs at the end of a test is ended. */
const test = base.extend<{ options: NodeOptions; url: string; start: (example: string) => Example }>({
  options: {},
  url: async ({ options }, use) => {
    const server = await startTestServer();
    const node = await createNode({ ...options, nats: { servers: server.url } }, silentLogger);
    await node.ready;
    await use(server.url);
    await node.stop();
    await server.stop();
  },
  start: async ({ url }, use) => {
    const running: { readonly child: Example; readonly ended: Promise<unknown> }[] = [];
    await use((example) => {
      const args = ["--conditions=@ergon/source", "--disable-warning=ExperimentalWarning", inExamples(example)];
      const env = { ...process.env, NATS_URL: url };
      const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
      running.push({ child, ended: once(child, "exit") });
      return child;
    });
    for (const { child, ended } of running) {
      child.kill();
      await ended;
    }
  },
});

function inExamples(file: string): string {
  return path.join(root, "examples", file);
}

test("hello.ts greets", async ({ start }) => {
  const hello = start("hello.ts");

  expect(await text(hello.stdout)).toBe("{ greeting: 'Hello, world!' }\n");
});

test("the strangers work together", async ({ start }) => {
  const agent = start("stranger-agent.mjs");
  await once(agent.stdout, "data");
  const client = start("stranger-client.mjs");

  expect(await text(client.stdout)).toBe("HELLO\n");
});

describe("machines/order.ts", () => {
  test.override({ options: { machines: [inExamples("machines/order.ts")] } });

  test("ships what is paid and approved, and refunds everything else", async ({ start }) => {
    const agents = start("machines/order-agents.ts");
    await once(agents.stdout, "data");
    const client = start("machines/order-client.ts");

    expect((await text(client.stdout)).split("\n")).toEqual([
      "order-1 takes [ 'approve', 'cancel', 'reject' ]",
      "order-1 is shipped: { tracking: 'a parcel with one book' }",
      "order-2 is refunded: { why: 'out of stock' }",
      "order-3 is refunded: { why: 'nobody carries a piano' }",
      "order-4 is refunded: { why: 'the customer cancelled' }",
      "order-5 is refunded: { why: 'nobody approved it in time' }",
      "order-6 is refused: { why: 'there is no cover for 2000000' }",
      "",
    ]);
  });
});
