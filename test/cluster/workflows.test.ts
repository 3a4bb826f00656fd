import { fileURLToPath } from "node:url";

import { plan, type Client, type Instance, type MachineView, type PlanDefinition } from "@ergon/core";
import { seededRandom } from "@ergon/core/testing";
import { expect, onTestFailed, test as base } from "vitest";

import { startCluster, type Cluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import type { Ledger } from "../support/ledger.ts";
import { errand } from "../support/machines/errand.ts";
import { uniqueNamespace } from "../support/nats-fixtures.ts";
import { startTestServer } from "../support/nats-server.ts";

/** Of plans, and of machines. */
const EACH = 500;
const STEPS = { plan: 5, errand: 2 };
const DEATHS = 5;
/** Attempts between two deaths: the last one comes when there is still a sixth of the work to do. */
const PER_DEATH = Math.floor((EACH * (STEPS.plan + STEPS.errand)) / (DEATHS + 1));
/** Who dies is drawn from it. */
const SEED = Number(process.env["ERGON_SEED"] ?? 11);

const test = base.extend<{ url: string; cluster: Cluster }>({
  url: async ({}, use) => {
    const server = await startTestServer();
    await use(server.url);
    await server.stop();
  },
  cluster: async ({ url }, use) => {
    const machines = [fileURLToPath(new URL("../support/machines/errand.ts", import.meta.url))];
    const cluster = await startCluster({ url, namespace: uniqueNamespace(), node: { machines } });
    await use(cluster);
    await cluster.stop();
  },
});

test("nodes are killed at random under 500 plans and 500 machines: each ends as it does in calm, each step's result recorded once (B-22, I-7)", async ({
  url,
  cluster,
}) => {
  const { client, ledger, members } = cluster;
  // Past their proxies: what 1,000 instances say would all pass through this process.
  const startNode = (): Promise<unknown> => cluster.startNode({ servers: [url] });
  const startAgent = (): Promise<unknown> => cluster.startAgent({ servers: [url], settings: { concurrency: 32 } });
  await Promise.all([startNode(), startNode(), startNode(), startAgent(), startAgent()]);
  const calm = await runAll(client, "calm");
  expect(calm.map(({ status }) => status)).toEqual(calm.map(() => "succeeded"));

  const chance = seededRandom(SEED);
  const deaths: string[] = [];
  onTestFailed(() => void process.stderr.write(`seed ${SEED}, killed so far: ${deaths.join("; ")}\n`));
  const before = ledger.entries.length;
  const killAtRandom = async (): Promise<void> => {
    const replacements: Promise<unknown>[] = [];
    while (deaths.length < DEATHS) {
      const attempts = (deaths.length + 1) * PER_DEATH;
      const victim = await eventually(
        `${attempts} attempts, and a node to kill`,
        () => {
          const nodes = members.filter(({ kind }) => kind === "node");
          return ledger.entries.length - before >= attempts && nodes[Math.floor(chance() * nodes.length)];
        },
        50_000,
      );
      deaths.push(`${victim.id} at ${ledger.entries.length - before} attempts`);
      await victim.kill();
      replacements.push(startNode());
    }
    await Promise.all(replacements);
  };
  const [stormy] = await Promise.all([runAll(client, "storm"), killAtRandom()]);

  expect(stormy.map(timeless)).toEqual(calm.map(timeless));
  await checkRecorded(ledger, stormy);
});

const names = Array.from({ length: EACH }, (_, index) => `n${index}`);

/** Five tasks, each of which gets what the one before has answered. */
function planOf(name: string): PlanDefinition {
  const task = { driver: "work", arguments: { ms: "20" }, attemptTimeout: "10m" };
  return plan(
    Array.from({ length: STEPS.plan }, (_, step) => ({
      ...task,
      text: step === 0 ? name : `\${steps.${step - 1}.output}`,
    })),
  );
}

/** Starts all of them at once; resolves when they have ended, with how. */
async function runAll(client: Client, run: string): Promise<MachineView[]> {
  const end = async (started: Promise<Instance>): Promise<MachineView> => (await started).wait({ timeoutMs: 50_000 });
  return Promise.all(
    names.flatMap((name) => [
      end(client.plan(planOf(name), { id: `${run}-plan-${name}` })),
      end(client.start(errand.name, { name }, { id: `${run}-errand-${name}` })),
    ]),
  );
}

/** What an instance's view says whatever its id, and whenever it was. */
function timeless(view: MachineView): unknown {
  const { id: _, startedAt: __, updatedAt: ___, endedAt: ____, durationMs: _____, history, ...rest } = view;
  return { ...rest, history: history.map(({ state, reason }) => ({ state, reason })) };
}

/** Each step was one task, which got what the one before had answered, and of which one result was recorded. */
async function checkRecorded(ledger: Ledger, views: readonly MachineView[]): Promise<void> {
  const tasks = views.flatMap(({ id, machine, output }) => {
    const name = id.slice(id.lastIndexOf("-") + 1);
    const answers = machine === "plan" ? Object.values(output as object) : (output as { done: unknown[] }).done;
    expect({ id, count: answers.length }).toEqual({ id, count: STEPS[machine as keyof typeof STEPS] });
    return answers.map((response: string, index) => ({
      id: `${id}~${index + 1}`,
      payload: index === 0 ? name : answers[index - 1],
      response,
    }));
  });
  // Of an answer whose owner died before it said so, the next owner says that it is recorded.
  await eventually("the word that each result is recorded", () =>
    tasks.every(({ id }) => ledger.accepted(id).length > 0),
  );
  ledger.check(tasks);
  const ran = new Set(ledger.entries.filter(({ task }) => task.startsWith("storm-")).map(({ task }) => task));
  expect([...ran].toSorted()).toEqual(tasks.map(({ id }) => id).toSorted());
  for (const { id, payload } of tasks)
    for (const entry of ledger.of(id)) expect({ id, payload: entry.payload }).toEqual({ id, payload });
}
