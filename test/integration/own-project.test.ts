// docs/start.md, as it is written: its files in an empty folder, on the packed packages.
import { execFile, spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { promisify } from "node:util";

import { findNatsServer } from "@ergon/node/nats-server";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";

import { readText, root } from "../support/documents.ts";

const run = promisify(execFile);
const page = readText("docs/start.md");
const folder = mkdtempSync(path.join(tmpdir(), "ergon-own-"));
const project = path.join(folder, "orders");
const command = path.join(project, "node_modules/.bin/ergon");

/** Why npm cannot bring what the packages depend on, if it cannot. */
const unreachable = await prepare();

afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(unreachable !== undefined)(`a project as docs/start.md has it${unreachable ?? ""}`, () => {
  test("has files that TypeScript finds no fault in", async () => {
    const { stdout } = await inProject("npm", ["run", "--silent", "check"]);

    expect(stdout).toBe("");
  });

  test("has tests that pass", async () => {
    const { stdout } = await inProject("npm", ["run", "--silent", "test"]);

    expect(stdout).toMatch(/pass 2\n/);
  });

  test("runs: the client prints what the page says, twice the same", async () => {
    const server = { ERGON_NATS_SERVER: findNatsServer() ?? "" };
    const dev = start(command, ["dev", "--machines", "./machines.ts", "--store", "./data", "--port", "0"], server);
    const env = { NATS_URL: (await firstLine(dev)).split(" ")[1] ?? "" };
    await firstLine(start(process.execPath, ["agent.ts"], env));
    const [, promised] = /^node client\.ts +# (.+)$/m.exec(page) ?? [];

    for (let times = 0; times < 2; times++)
      expect((await inProject(process.execPath, ["client.ts"], env)).stdout).toBe(`${promised}\n`);
    expect((await inProject(command, ["get", "order-1"], env)).stdout).toMatch(/^state +paid$/m);
  });
});

/** Builds, packs and installs. Answers why it cannot be done here. */
async function prepare(): Promise<string | undefined> {
  const tsc = path.join(root, "node_modules/.bin/tsc");
  await run(tsc, ["--build", "packages/node"], { cwd: root });
  await run(process.execPath, ["scripts/bundle.mjs"], { cwd: root });
  await run("npm", ["pack", "--workspaces", "--pack-destination", folder], { cwd: root });
  const packed = readdirSync(folder).filter((file) => file.endsWith(".tgz"));
  await run("mkdir", [project]);
  for (const [name, content] of filesOf(page)) writeFileSync(path.join(project, name), content);
  const { devDependencies } = JSON.parse(readText("package.json")) as { devDependencies: Record<string, string> };
  const tools = ["xstate", "typescript", "@types/node"].map((name) => `${name}@${devDependencies[name] ?? ""}`);
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0"];
  try {
    await inProject("npm", ["install", ...options, ...packed.map((file) => `../${file}`), ...tools]);
    return undefined;
  } catch (error) {
    const [, code] = /code (E(?:NOTFOUND|AI_AGAIN|CONN\w+|TIMEDOUT|NOTCACHED|NETUNREACH))/.exec(String(error)) ?? [];
    if (code === undefined) throw error;
    return ` (skipped: npm has no way to its registry here, ${code})`;
  }
}

/** The files of a page: what stands in a fence, by the name in the paragraph before it. */
function filesOf(text: string): readonly (readonly [name: string, content: string])[] {
  return [...text.matchAll(/`([\w.]+\.(?:ts|json))`[^\n]*\n\n```\w+\n([\s\S]*?)```/g)].map(
    ([, name = "", content = ""]) => [name, content],
  );
}

function inProject(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return run(program, args, { cwd: project, env: { ...process.env, ...env } });
}

type Started = ChildProcessByStdio<null, Readable, null>;

/** Starts what runs until the test has finished. */
function start(program: string, args: readonly string[], env: Readonly<Record<string, string>>): Started {
  const child = spawn(program, args, {
    cwd: project,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(child, "exit");
  onTestFinished(async () => {
    child.kill();
    await ended;
  });
  return child;
}

async function firstLine({ stdout }: Started): Promise<string> {
  const [line] = (await once(createInterface({ input: stdout }), "line")) as [string];
  return line;
}
