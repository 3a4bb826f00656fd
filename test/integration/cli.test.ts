import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import type { ShardMap } from "@ergon/core";
import { describe, expect, onTestFinished } from "vitest";

import type { Said } from "../support/cli.ts";
import { linesOf, test, untilStarted } from "../support/ergon-dev.ts";
import { runErgon, startErgon } from "../support/ergon-process.ts";

describe("dev", () => {
  test("dev prints one line on standard output when it accepts tasks", async ({ dev }) => {
    expect(dev.process.lines).toEqual([expect.stringMatching(/^ready nats:\/\/127\.0\.0\.1:\d+ namespace=default$/)]);
  });

  test("SIGTERM stops dev in order, and a dev with the same --store has its tasks again", async () => {
    const store = mkdtempSync(path.join(tmpdir(), "ergon-cli-"));
    const env = { ERGON_COMMAND: "../checkout/ergon" };
    const first = startErgon(["dev", "--port", "0", "--store", store, "--log-level", "silent"], env);
    const url = (await first.ready).split(" ")[1] ?? "";
    await runErgon(["submit", "echo", "kept", "--id", "kept", "--wait", "--nats", url]);
    first.kill("SIGTERM");
    const { code, err } = await first.ended;
    expect(code).toBe(0);
    expect(err).toMatch(/^ergon dev runs NATS at nats:/);
    expect(err).toContain(`\n  store     ${store} (kept)\n  machines  none; `);
    expect(err).toContain(`\n  next      ../checkout/ergon submit echo hello --wait --nats ${url}\n`);
    expect(err.split("\n").slice(-3)).toEqual([
      "stopping; press Ctrl-C again to quit at once",
      `all tasks are kept in ${store}`,
      "",
    ]);

    const second = startErgon(["dev", "--port", "0", "--store", store, "--json"]);
    const ready = JSON.parse(await second.ready) as { url: string };
    const said = await runErgon(["wait", "kept", "--nats", ready.url]);
    second.kill("SIGINT");

    expect(said).toMatchObject({ code: 0, out: "kept" });
    await expect(second.ended).resolves.toMatchObject({ code: 0 });
  });

  test("dev removes its temporary folder at the end and says so, and does not warn of the sync of its own server", async () => {
    const dev = startErgon(["dev", "--port", "0", "--machines", path.resolve("examples/order.ts")]);
    await dev.ready;
    dev.kill("SIGINT");
    const { err } = await dev.ended;

    const [, store = "none"] = /^ {2}store {5}(\S+) \(temporary, removed at the end/m.exec(err) ?? [];
    expect(err).toMatch(/^ {2}machines {2}order@1$/m);
    expect(err).toContain(`\nthe temporary store ${store} was removed\n`);
    expect(existsSync(store)).toBe(false);
    expect(err).not.toContain("sync");
  });

  test("a stop of dev says what it waits for, and for how long at most", async () => {
    const dev = startErgon(["dev", "--port", "0", "--drain", "1s", "--log-level", "silent"]);
    const nats = ["--nats", (await dev.ready).split(" ")[1] ?? ""];
    await runErgon(["submit", "sleep", "10m", "--id", "long", ...nats]);
    await untilStarted((args) => runErgon([...args, ...nats]), "long");
    dev.kill("SIGTERM");

    expect((await dev.ended).err).toContain(
      "\nstopping; press Ctrl-C again to quit at once\nwaiting for 1 attempt to end, 1s at most\n",
    );
  });

  test("dev reports a port that is taken in one line", async ({ dev }) => {
    const port = new URL(dev.env["NATS_URL"] ?? "").port;

    const { code, err } = await runErgon(["dev", "--port", port]);

    expect(code).toBe(4);
    expect(err).toMatch(
      /^ergon: SERVER_UNSUITABLE: nats-server did not start: [^\n]*address already in use[^\n]*--port 0[^\n]*\n$/,
    );
  });
});

describe("every command", () => {
  test("every command is a process that answers, and ends by itself", { timeout: 60_000 }, async ({ dev }) => {
    const run = (args: readonly string[], input?: string): Promise<Said> => runErgon(args, dev.env, input);
    const live = await run(["submit", "sleep", "1m", "--id", "p-live"]);
    const ended = await run(["submit", "echo", "exactly", "--id", "p-ended", "--wait"]);

    const rest = await Promise.all([
      run(["get", "p-ended"]),
      run(["wait", "p-ended"]),
      run(["watch", "p-ended"]),
      run(["batch"], '{"driver": "noop"}'),
      run(["ls"]),
      run(["nodes"]),
      run(["agents"]),
      run(["shards"]),
      run(["doctor"]),
      run(["cancel", "p-ended"]),
      run(["retry", "p-ended"]),
      run(["end", "p-live"]),
    ]);

    expect(live).toMatchObject({ code: 0, out: "p-live\n", err: "" });
    expect(ended).toMatchObject({ code: 0, out: "exactly", err: "" });
    expect(rest.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 0]);
    for (const { code, err } of rest) expect(err).toMatch(code === 0 ? /^$/ : /^ergon: TASK_[A-Z_]+: [^\n]+\n$/);
  });
});

describe("nodes, agents, shards, doctor", () => {
  test("nodes, agents and shards show who is there", async ({ ergon }) => {
    const [nodes, agents, shards] = await Promise.all([
      ergon(["nodes"]),
      ergon(["agents"]),
      ergon(["shards", "--json"]),
    ]);
    const map = JSON.parse(shards.out) as ShardMap;

    expect(linesOf(nodes)).toHaveLength(1);
    expect(agents.out).toContain("upcase×2");
    expect([map.namespace, map.buckets, map.shards.length]).toEqual(["default", 1, 64]);
    expect(new Set(map.shards.map(({ node }) => node))).toEqual(new Set([nodes.out.split("\t")[0]]));
  });

  test("doctor finds nothing to mend and says what one server is worth", async ({ ergon }) => {
    const said = await ergon(["doctor", "--json"]);
    const findings = linesOf(said).map((line) => JSON.parse(line) as { level: string; topic: string; text: string });

    expect(said.code).toBe(0);
    expect(findings.filter(({ level }) => level === "bad")).toEqual([]);
    expect(findings.find(({ topic }) => topic === "sync")?.text).toContain("up to 2m of acknowledged tasks");
    expect(findings.find(({ topic }) => topic === "server")?.text).toMatch(/^nats-server 2\.\d+/);
  });

  test("doctor of a namespace without a node is exit code 1", async ({ ergon }) => {
    const { code, out } = await ergon(["doctor", "--namespace", "empty"]);

    expect(code).toBe(1);
    expect(out).toMatch(/^bad\tnodes\tno node answers/m);
  });
});

describe("node", () => {
  test("a second node takes its share and gives it back when it is stopped", async ({ dev, ergon }) => {
    const node = startErgon(["node", "--id", "second", "--log-format", "json"], dev.env);
    expect(await node.ready).toMatch(/^ready node=second-\S+ namespace=default$/);
    const both = await ergon(["nodes", "--json"]);

    node.kill("SIGTERM");

    await expect(node.ended).resolves.toMatchObject({ code: 0 });
    expect(linesOf(both)).toHaveLength(2);
    expect(await ergon(["submit", "echo", "still here", "--wait"])).toMatchObject({ code: 0, out: "still here" });
  });

  test("a node without NATS waits as long as it is told, then ends with exit code 4", async () => {
    expect(await runErgon(["node", "--nats", "127.0.0.1:1", "--nats-wait", "0"])).toMatchObject({
      code: 4,
      err: expect.stringContaining("NATS_UNREACHABLE"),
    });
  });
});

describe("agent", () => {
  test("SIGINT lets an agent finish its running attempts", async ({ dev, ergon }) => {
    const agent = startErgon(["agent", "--driver", "slow", "--", "sh", "-c", "sleep 1; echo done"], dev.env);
    await agent.ready;
    const { out } = await ergon(["submit", "slow"]);
    await untilStarted(ergon, out.trim());

    agent.kill("SIGINT");

    expect(await ergon(["wait", out.trim()])).toMatchObject({ code: 0, out: "done\n" });
    await expect(agent.ended).resolves.toMatchObject({ code: 0 });
  });

  test("an agent finishes its running attempts also when the reader of its output has gone", async ({ dev, ergon }) => {
    const agent = startErgon(["agent", "--driver", "unread", "--", "sh", "-c", "sleep 1; echo done"], dev.env);
    await agent.ready;
    const { out } = await ergon(["submit", "unread"]);
    await untilStarted(ergon, out.trim());
    agent.child.stdout?.destroy();
    agent.child.stderr?.destroy();

    agent.kill("SIGINT");

    expect(await ergon(["wait", out.trim(), "--timeout", "10s"])).toMatchObject({ code: 0, out: "done\n" });
    await expect(agent.ended).resolves.toMatchObject({ code: 0 });
  });

  test("one Ctrl-C that comes twice, to the group and passed on, is one", async ({ dev, ergon }) => {
    const agent = startErgon(["agent", "--driver", "twice", "--", "sh", "-c", "sleep 1; echo done"], dev.env);
    await agent.ready;
    const { out } = await ergon(["submit", "twice"]);
    await untilStarted(ergon, out.trim());

    agent.kill("SIGINT");
    agent.kill("SIGTERM");

    expect(await ergon(["wait", out.trim(), "--timeout", "10s"])).toMatchObject({ code: 0, out: "done\n" });
    await expect(agent.ended).resolves.toMatchObject({ code: 0 });
  });

  test("a second signal makes an agent quit at once", async ({ dev, ergon }) => {
    const agent = startErgon(["agent", "--driver", "stuck", "--", "sleep", "60"], dev.env);
    await agent.ready;
    const { out } = await ergon(["submit", "stuck"]);
    await untilStarted(ergon, out.trim());
    const noted = new Promise<void>((resolve) => {
      agent.child.stderr?.on("data", (chunk: Buffer) => String(chunk).includes("press Ctrl-C again") && resolve());
    });

    agent.kill("SIGINT");
    await noted;
    const again = setInterval(() => agent.kill("SIGINT"), 100);
    onTestFinished(() => clearInterval(again));

    await expect(agent.ended).resolves.toMatchObject({ code: 130 });
    await ergon(["end", out.trim()]);
  });
});
