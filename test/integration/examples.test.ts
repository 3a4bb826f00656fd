import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";

import { silentLogger } from "@ergon/core";
import { createNode, type Node, type NodeOptions } from "@ergon/node";
import { describe, expect, onTestFinished, test as base } from "vitest";

import type { Said } from "../support/cli.ts";
import { root } from "../support/documents.ts";
import { runErgon } from "../support/ergon-process.ts";
import { startTestServer, type TestServer } from "../support/nats-server.ts";

type Example = ChildProcessByStdio<null, Readable, null>;

/** Examples are about the namespace "default", so each gets a server of its own; what still runs at the end of a test is ended. */
const test = base.extend<{
  options: NodeOptions;
  server: TestServer;
  node: Node;
  url: string;
  start: (example: string, env?: Readonly<Record<string, string>>) => Example;
}>({
  options: {},
  server: async ({}, use) => {
    const server = await startTestServer();
    await use(server);
    await server.stop();
  },
  node: async ({ options, server }, use) => {
    const node = await createNode({ ...options, nats: { servers: server.url } }, silentLogger);
    await node.ready;
    await use(node);
    await node.stop();
  },
  url: async ({ server, node }, use) => {
    await node.ready;
    await use(server.url);
  },
  start: async ({ url }, use) => {
    const running: { readonly child: Example; readonly ended: Promise<unknown> }[] = [];
    await use((example, settings) => {
      const args = ["--conditions=@ergon/source", "--disable-warning=ExperimentalWarning", inExamples(example)];
      const env = { ...process.env, NATS_URL: url, ...settings };
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

  test("machines/order.ts ships what is paid and approved, and refunds everything else", async ({ start }) => {
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

describe("plans/media.yaml", () => {
  test("plans/media.yaml makes a film in the sizes that it has, and removes the files of one that fails", async ({
    start,
    url,
  }) => {
    const folder = mkdtempSync(path.join(tmpdir(), "ergon-media-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const agents = start("plans/media-agents.ts", { MEDIA_FOLDER: folder });
    await once(agents.stdout, "data");
    const run = (id: string, input: object) =>
      runErgon(
        ["plan", "run", inExamples("plans/media.yaml"), "--id", id, "--wait", "--input", JSON.stringify(input)],
        {
          NATS_URL: url,
        },
      );

    const done = await run("film-1", { film: "holiday.mov", folder: "film-1", tell: "ann@example.org" });
    expect(done).toMatchObject({ code: 0, out: '{"files":["480.txt","720.txt"]}' });
    expect(done.err).toContain("large: skipped");

    const failed = await run("film-2", { film: "holiday.mov", folder: "broken", tell: "ann@example.org" });
    expect(failed).toMatchObject({ code: 1 });
    expect(failed.err).toContain("DISK_FULL");
    expect(existsSync(path.join(folder, "broken"))).toBe(true);
    expect(readdirSync(path.join(folder, "broken"))).toEqual([]);
  });
});

test("schedules/nightly.ts has a report made each second, or each night", async ({ start, url }) => {
  const quick = start("schedules/nightly.ts", { REPORT_EVERY: "1s" });
  let said = "";
  for await (const chunk of quick.stdout) {
    said += String(chunk);
    if (said.split("report of all branches").length > 2) break;
  }
  expect(said).toMatch(/^next: \[/m);

  const options = ["--cron", "0 3 * * *", "--tz", "Europe/Berlin", "--driver", "report", "--overlap", "queue"];
  const env = { NATS_URL: url };
  expect(await runErgon(["schedule", "add", "by-command", ...options], env)).toMatchObject({ code: 0 });
  const shown = await runErgon(["schedule", "show", "by-command"], env);
  expect(shown.out).toContain("Europe/Berlin");
});

describe("versions/subscription-2.ts", () => {
  test.override({ options: { machines: [inExamples("versions/subscription-1.ts")] } });

  test("versions/subscription-2.ts takes over the subscribers of subscription-1.ts, with their month", async ({
    url,
    node,
  }) => {
    const run = (...args: readonly string[]) => runErgon([...args, "--json"], { NATS_URL: url });
    await run("start", "subscription", '{"cents": 500}', "--id", "ann");
    const before = viewOf(await run("get", "ann"));
    const second = inExamples("versions/subscription-2.ts");
    expect(viewOf(await run("check", "--machines", second))).toMatchObject({ kind: "moves", to: "2", count: 1 });

    const next = await createNode({ machines: [second], nats: { servers: url } }, silentLogger);
    await next.ready;
    await node.stop();
    const { nextTimerAt } = before;
    expect(viewOf(await run("get", "ann"))).toMatchObject({ version: "2", context: { euros: 5 }, nextTimerAt });
    expect(viewOf(await run("send", "ann", "upgrade"))).toMatchObject({ state: "paying" });
    await next.stop();
  });
});

function viewOf({ out }: Said): Readonly<Record<string, unknown>> {
  return JSON.parse(out) as Record<string, unknown>;
}
