import { spawnSync } from "node:child_process";
import path from "node:path";

import type { Client } from "@ergon/core";
import { describe, expect } from "vitest";

import { createLocal, type Local } from "../support/cluster-local.ts";
import { startErgon, type ErgonProcess } from "../support/ergon-process.ts";
import { eventually } from "../support/eventually.ts";
import { test as base } from "../support/nats-fixtures.ts";
import { runCommand, type Program } from "../support/processes.ts";

const program = path.join(import.meta.dirname, "programs/sdk_agent.py");
const { status } = spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 8))"]);
const missing = status === 0 ? "" : ", skipped: there is no python3 of version 3.8 or later here";

/** What an agent says at its end. */
interface Seen {
  readonly "most at once": number;
  readonly again: number;
  readonly resent: number;
  readonly aborted: number;
  readonly returned: number;
  readonly moved: number;
}

interface Stranger extends Program {
  /** The attempts that it has run, each as `<task>.<attempt>`. */
  readonly runs: () => string[];
  /** The tasks whose attempts have ended in it, recorded or not. */
  readonly ends: () => string[];
  /** Stops it by SIGTERM, and answers what it has seen. */
  readonly stop: () => Promise<Seen>;
}

interface Fixtures {
  readonly local: Local;
  readonly client: Client;
  readonly stranger: (id: string, concurrency: number, port?: string) => Promise<Stranger>;
  /** A node in a process of its own. */
  readonly nodeProcess: (id: string) => Promise<ErgonProcess>;
}

const test = base.extend<Fixtures>({
  local: async ({ server, namespace }, use) => {
    const { local, stop } = createLocal(server.url, namespace);
    await use(local);
    await stop();
  },
  client: async ({ local }, use) => use(await local.client()),
  stranger: async ({ server, namespace }, use) => {
    const programs: Program[] = [];
    await use(async (id, concurrency, port = new URL(server.url).port) => {
      const started = runCommand("python3", [program, port, namespace, "work", id, String(concurrency)], {
        PYTHONDONTWRITEBYTECODE: "1",
      });
      programs.push(started);
      await started.writes("ready");
      const lines = () => started.output().split("\n").filter(Boolean).map(parse);
      return {
        ...started,
        runs: () => lines().flatMap(({ runs, attempt }) => (runs === undefined ? [] : [`${runs}.${attempt}`])),
        ends: () => lines().flatMap(({ ends }) => ends ?? []),
        stop: async () => {
          started.process.kill("SIGTERM");
          await started.ended;
          const seen = lines().at(-1)?.end;
          if (seen === undefined) throw new Error(`the agent did not end well:\n${started.errors()}`);
          return seen;
        },
      };
    });
    for (const started of programs) await started.kill();
  },
  nodeProcess: async ({ server, namespace }, use) => {
    const nodes: ErgonProcess[] = [];
    await use(async (id) => {
      const node = startErgon(["node", "--nats", server.url, "--namespace", namespace, "--shards", "8", "--id", id]);
      nodes.push(node);
      await node.ready;
      return node;
    });
    for (const node of nodes) {
      node.kill("SIGKILL");
      await node.ended;
    }
  },
});

describe(
  `an SDK agent in Python, written from docs/protocol.md alone${missing}`,
  { skip: missing !== "", timeout: 60_000 },
  () => {
    test("an SDK agent in Python does the tasks of two nodes, each once, and never more at a time than it has slots", async ({
      local,
      client,
      stranger,
    }) => {
      const nodes = [await local.node(), await local.node()];
      await eventually("each node has half of the shards", async () => {
        const { shards } = await client.shards();
        return nodes.every(({ id }) => shards.filter(({ node }) => node === id).length === 4);
      });
      const agent = await stranger("python", 3);
      const ids = Array.from({ length: 40 }, (_, index) => `task-${index}`);

      const ended = await Promise.all(
        ids.map(async (id) => {
          const response = await client.run({ driver: "work", id, payload: { ms: 30 } });
          return response.json() as { readonly task: string; readonly attempt: number };
        }),
      );
      const seen = await agent.stop();

      expect(ended.map(({ task }) => task)).toEqual(ids);
      expect(agent.runs().toSorted()).toEqual(ended.map(({ task, attempt }) => `${task}.${attempt}`).toSorted());
      expect(seen["most at once"]).toBe(3);
      expect(agent.errors()).toBe("");
    });

    test("an SDK agent in Python says how far it is, beats, fails by its own code, and stops at a cancel", async ({
      local,
      client,
      stranger,
    }) => {
      await local.node();
      const agent = await stranger("python", 4);
      const work = { driver: "work", retry: { maxAttempts: 2, initial: 0 } };

      const beating = await client.submit({ ...work, payload: { ms: 4_000 }, heartbeatTimeout: "2s" });
      const failing = await client.submit({ ...work, payload: { fail: "NO_PAPER" } });
      const endless = await client.submit({ ...work, payload: { ms: 60_000, progress: { page: 7 } } });
      await eventually("its progress", async () => (await endless.get()).progress !== undefined);
      const progress = (await endless.get()).progress;
      await endless.cancel();
      const late = await client.submit({
        ...work,
        payload: { ms: 60_000 },
        attemptTimeout: "300ms",
        retry: { maxAttempts: 1 },
      });

      expect(progress).toEqual({ page: 7 });
      expect(await client.wait(endless.id)).toMatchObject({ status: "cancelled", attempt: 1 });
      expect(await client.wait(failing.id)).toMatchObject({
        status: "failed",
        failures: 2,
        failure: { code: "NO_PAPER" },
      });
      expect(await client.wait(beating.id)).toMatchObject({ status: "succeeded", attempt: 1, agent: "python" });
      expect(await client.wait(late.id)).toMatchObject({ status: "failed", failure: { code: "ATTEMPT_TIMEOUT" } });
      // Every slot is free again.
      await Promise.all([1, 2, 3, 4].map(() => client.run({ driver: "work", payload: { ms: 50 } })));
      const seen = await agent.stop();
      expect(seen.aborted).toBeGreaterThan(0);
      expect(seen["most at once"]).toBeLessThanOrEqual(4);
    });

    test("an SDK agent in Python continues with what runs, and answers it once, when the node that dispatched it is killed", async ({
      client,
      nodeProcess,
      stranger,
    }) => {
      const first = await nodeProcess("first");
      const agent = await stranger("python", 4);
      const ids = ["short", "long"];
      const tasks = [];
      for (const id of ids)
        tasks.push(
          await client.submit({ driver: "work", id, payload: id === "long" ? { until: "again" } : { ms: 500 } }),
        );
      await eventually("all run", () => agent.runs().length === ids.length);
      first.kill("SIGKILL");
      await first.ended;
      await eventually("one has ended, and no node is there to record it", () => agent.ends().includes("short"));

      await nodeProcess("second");
      const ended = await Promise.all(tasks.map((task) => client.wait(task.id)));
      const seen = await agent.stop();

      expect(ended.map(({ status, attempt, lost }) => ({ status, attempt, lost }))).toEqual(
        ids.map(() => ({ status: "succeeded", attempt: 1, lost: 0 })),
      );
      expect(agent.runs()).toEqual(ids.map((id) => `${id}.1`));
      // The next owner sends each attempt that has not ended once more.
      expect(seen.again).toBeGreaterThan(0);
      expect(seen.resent).toBeGreaterThan(0);
    });

    test("an SDK agent in Python gives back what does not end while it stops, and the task goes to another agent", async ({
      local,
      client,
      stranger,
    }) => {
      await local.node();
      const leaving = await stranger("leaving", 2);
      const task = await client.submit({ driver: "work", payload: { hold: "leaving" } });
      await eventually("it runs", () => leaving.runs().length === 1);
      await stranger("staying", 2);

      const seen = await leaving.stop();

      expect(seen.returned).toBe(1);
      expect(await client.wait(task.id)).toMatchObject({
        status: "succeeded",
        agent: "staying",
        attempt: 2,
        failures: 0,
        lost: 0,
      });
      expect((await client.agents()).map(({ id }) => id)).toEqual(["staying"]);
    });

    test("an SDK agent in Python stops when a younger agent with its id is there, which does the work", async ({
      local,
      client,
      stranger,
    }) => {
      await local.node();
      const older = await stranger("one", 2);
      const younger = await stranger("one", 2);

      const code = await older.ended;
      const response = await client.run({ driver: "work", payload: {} });

      expect(code).toBe(0);
      expect(older.output()).toContain('"replaced": true');
      expect(response.json()).toMatchObject({ agent: "one" });
      expect(younger.runs()).toHaveLength(1);
      expect(await client.agents()).toMatchObject([{ id: "one", twin: { host: expect.any(String) } }]);
    });

    test("an SDK agent in Python keeps its attempts over a restart of the NATS server", async ({
      namespace,
      start,
      stranger,
    }) => {
      const server = await start();
      const { local, stop } = createLocal(server.url, namespace);
      await local.node();
      const client = await local.client();
      const agent = await stranger("python", 2, new URL(server.url).port);
      const task = await client.submit({ driver: "work", payload: { ms: 1_500 } });
      await eventually("it runs", () => agent.runs().length === 1);
      await server.kill();

      await server.restart();

      expect(await client.wait(task.id)).toMatchObject({ status: "succeeded", attempt: 1, lost: 0 });
      await agent.stop();
      await stop();
    });
  },
);

function parse(line: string): {
  readonly runs?: string;
  readonly attempt?: number;
  readonly ends?: string;
  readonly end?: Seen;
} {
  return JSON.parse(line) as ReturnType<typeof parse>;
}
