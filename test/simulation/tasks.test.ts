import { appendFileSync } from "node:fs";
import { env } from "node:process";

import { type Client, type TaskView } from "@ergon/core";
import { delay } from "@ergon/core/engine";
import { seededRandom } from "@ergon/core/testing";
import { describe, expect, test } from "vitest";

import {
  createMemoryCluster,
  type AgentMember,
  type Member,
  type MemoryCluster,
  type NodeMember,
} from "../support/memory-cluster.ts";

const TASKS = Number(env["ERGON_TASKS"] ?? 1_000);
/** How long, in the cluster's time, tasks are submitted and things go wrong. */
const STORM_MS = 30_000;
/** Longest time to the last task's end once nothing goes wrong any more. */
const HEALED_MS = 180_000;

/** One seed: `ERGON_SEED=7`. Many: `ERGON_SEEDS=100`, from `ERGON_FIRST_SEED` on. Neither: those that are always run. */
function seeds(): number[] {
  if (env["ERGON_SEED"] !== undefined) return [Number(env["ERGON_SEED"])];
  const first = Number(env["ERGON_FIRST_SEED"] ?? 1);
  return Array.from({ length: Number(env["ERGON_SEEDS"] ?? 6) }, (_, index) => first + index);
}

const modes = [
  { oneInFlight: false, buckets: 1 },
  { oneInFlight: true, buckets: 1 },
  { oneInFlight: false, buckets: 3 },
  { oneInFlight: true, buckets: 3 },
] as const;

/** What the handlers and the clients saw. */
interface Ledger {
  /** By task: the attempts that handlers were given, with their agents. */
  readonly handed: Map<string, { readonly agent: string; readonly attempt: number }[]>;
  /** Attempts that an agent was given while it still ran another one of the same task. */
  readonly overlaps: string[];
  readonly watched: Map<string, TaskView[]>;
  readonly accepted: Set<string>;
  readonly ended: Map<string, TaskView[]>;
}

describe("a storm", () => {
  test.for(seeds())(
    "every accepted task ends exactly once, with the answer of its recorded attempt (I-1, I-2, I-7, I-8, I-9, M-12, B-22, B-66), seed %i",
    { timeout: 180_000 },
    async (seed) => {
      const mode = modes[seed % modes.length] ?? modes[0];
      const share = seededRandom(seed);
      const faults = {
        drop: 0.01 * share(),
        duplicate: 0.02 * share(),
        loseAcknowledgement: 0.02 * share(),
        loseCommit: 0.02 * share(),
      };
      const cluster = createMemoryCluster({
        seed,
        shards: 12,
        ...mode,
        ...(env["ERGON_LOG"] === undefined
          ? {}
          : { onLog: (line) => appendFileSync(env["ERGON_LOG"] ?? "", `${line}\n`) }),
      });
      const ledger: Ledger = {
        handed: new Map(),
        overlaps: [],
        watched: new Map(),
        accepted: new Set(),
        ended: new Map(),
      };
      try {
        await storm(cluster, ledger, faults, seededRandom(seed * 7_919));
        await verify(cluster, ledger);
        expect(ledger.ended.size).toBe(TASKS);
      } catch (cause) {
        throw new Error(
          `replay: ERGON_SEED=${seed} npx vitest run --project simulation test/simulation/tasks.test.ts`,
          { cause },
        );
      }
    },
  );
});

async function storm(
  cluster: MemoryCluster,
  ledger: Ledger,
  faults: MemoryCluster["network"]["faults"],
  chance: () => number,
): Promise<void> {
  const between = (least: number, most: number): number => least + (most - least) * chance();
  let started = 0;
  const addNode = (): Promise<NodeMember> =>
    cluster.addNode(`node-${++started}`, {
      clockOffsetMs: between(-3_600_000, 3_600_000),
      distanceMs: distance(chance),
    });
  const addAgent = (): Promise<AgentMember> => {
    const name = `agent-${++started}`;
    const running = new Set<string>();
    return cluster.addAgent(name, {
      distanceMs: distance(chance),
      concurrency: 1 + Math.floor(between(0, 20)),
      handler: async (attempt) => {
        const handed = ledger.handed.get(attempt.taskId) ?? [];
        ledger.handed.set(attempt.taskId, handed);
        handed.push({ agent: name, attempt: attempt.number });
        if (running.has(attempt.taskId)) ledger.overlaps.push(`${attempt.taskId}.${attempt.number} at ${name}`);
        running.add(attempt.taskId);
        try {
          const roll = chance();
          if (roll > 0.2) await attempt.sleep(roll * 400);
          if (chance() < 0.05) throw new Error("bad luck");
          return `${attempt.text()} by ${name}, attempt ${attempt.number}`;
        } finally {
          running.delete(attempt.taskId);
        }
      },
    });
  };
  for (let index = 0; index < 3; index++) await addNode();
  for (let index = 0; index < 3; index++) await addAgent();
  await cluster.waitForOwners();
  Object.assign(cluster.network.faults, faults);

  const clients = [cluster.client({ timeoutMs: 600_000 }), cluster.client({ timeoutMs: 600_000 })];
  const work = Array.from({ length: TASKS }, (_, index) =>
    follow(cluster, ledger, clients, index, between(0, STORM_MS), index % 20 === 0),
  );
  const all = Promise.all(work);
  const failed = all.then(() => new Promise<never>(() => undefined));
  failed.catch(() => undefined);

  const end = cluster.clock.monotonic() + STORM_MS;
  const disturbed = new Set<Member>();
  while (cluster.clock.monotonic() < end) {
    await cluster.clock.advance(between(200, 3_000));
    await disturb(cluster, disturbed, chance, between, addNode, addAgent);
  }
  Object.assign(cluster.network.faults, { drop: 0, duplicate: 0, loseAcknowledgement: 0, loseCommit: 0 });
  for (const member of disturbed) calm(member);
  cluster.network.thaw();
  await Promise.race([cluster.drive(all, HEALED_MS), failed]).catch(async (cause: unknown) => {
    const waiting = [...ledger.accepted].filter((id) => !ledger.ended.has(id));
    const live = (await cluster.stored()).filter((record) => record.live || waiting.includes(record.id)).slice(0, 10);
    const states = live.map(({ id, shard, status, task }) => ({
      id,
      shard,
      status,
      attempt: task.attempt,
      agent: task.agent,
      reason: task.reason,
    }));
    throw new Error(
      `tasks have not ended: ${waiting.length} accepted ones (${waiting.slice(0, 10).join(", ")}); stored: ${JSON.stringify(states)}`,
      { cause },
    );
  });
  // What was on its way when the last task ended arrives.
  await cluster.clock.advance(20_000);
}

/** Half of the processes stand beside NATS, the others up to 100 ms away from it, each way. */
function distance(chance: () => number): number {
  return chance() < 0.5 ? 0 : 100 * chance();
}

function calm(member: Member): void {
  member.resume();
  member.reconnect();
}

async function disturb(
  cluster: MemoryCluster,
  disturbed: Set<Member>,
  chance: () => number,
  between: (least: number, most: number) => number,
  addNode: () => Promise<NodeMember>,
  addAgent: () => Promise<AgentMember>,
): Promise<void> {
  if (chance() < 0.05) {
    cluster.network.freeze();
    cluster.clock.after(between(300, 10_000), () => cluster.network.thaw());
    return;
  }
  const nodes = cluster.nodes.filter((member) => !member.gone && !disturbed.has(member));
  const agents = cluster.agents.filter((member) => !member.gone && !disturbed.has(member));
  const kind = chance() < 0.5 ? "node" : "agent";
  const candidates: readonly Member[] = kind === "node" ? nodes : agents;
  const victim = candidates[Math.floor(chance() * candidates.length)];
  if (victim === undefined || candidates.length < 2) return;
  const replace = async (): Promise<void> => void (await (kind === "node" ? addNode() : addAgent()));
  const forAWhile = (): void => {
    disturbed.add(victim);
    cluster.clock.after(between(300, 12_000), () => {
      calm(victim);
      disturbed.delete(victim);
    });
  };
  const roll = chance();
  if (roll < 0.3) {
    victim.kill();
    await replace();
  } else if (roll < 0.4) {
    victim.vanish();
    await replace();
  } else if (roll < 0.65) {
    victim.pause();
    forAWhile();
  } else if (roll < 0.85) {
    victim.disconnect();
    forAWhile();
  } else {
    victim.gone = true;
    const leaving =
      "node" in victim
        ? (victim as NodeMember).node.stop({ drainMs: 5_000 })
        : (victim as AgentMember).agent.stop({ drainMs: 2_000 });
    leaving.then(
      () => victim.process.close(),
      () => victim.kill(),
    );
    await replace();
  }
}

/** One task's life as its clients see it. */
async function follow(
  cluster: MemoryCluster,
  ledger: Ledger,
  clients: readonly Client[],
  index: number,
  startMs: number,
  watch: boolean,
): Promise<void> {
  const [submitter, other] = clients as [Client, Client];
  const id = `task-${index}`;
  await delay(cluster.clock, startMs);
  await submitter.submit({
    driver: "work",
    id,
    text: `work ${index}`,
    priority: index % 10,
    maxLost: 1_000,
    attemptTimeout: "30s",
    retry: { maxAttempts: 50, initial: 100, max: 2_000 },
    ...(index % 7 === 0 ? { delay: 1_500 } : {}),
  });
  ledger.accepted.add(id);
  const watching = watch ? collect(ledger, other, id) : undefined;
  const ends = await Promise.all([submitter.wait(id), other.wait(id)]);
  ledger.ended.set(id, ends);
  await watching;
}

async function collect(ledger: Ledger, client: Client, id: string): Promise<void> {
  const seen: TaskView[] = [];
  ledger.watched.set(id, seen);
  for await (const view of client.watch(id)) seen.push(view);
}

async function verify(cluster: MemoryCluster, ledger: Ledger): Promise<void> {
  expect(ledger.accepted.size).toBe(TASKS);
  const records = new Map((await cluster.stored()).map((record) => [record.id, record]));
  expect(
    [...records.values()].filter(({ live }) => live).map(({ id }) => id),
    "no record is left live",
  ).toEqual([]);
  expect(records.size).toBe(TASKS);

  for (const [id, ends] of ledger.ended) {
    const record = records.get(id);
    const index = Number(id.slice("task-".length));
    for (const end of ends) {
      expect(end).toMatchObject({ id, status: "succeeded", attempt: record?.task.attempt });
      expect(responseOf(end)).toBe(`work ${index} by ${end.agent ?? ""}, attempt ${end.attempt}`);
    }
    expect(Buffer.from(record?.task.response ?? []).toString()).toBe(responseOf(ends[0]));
    expect(record?.task.failures ?? 0).toBeLessThan(50);
  }
  expect(ledger.overlaps, "no agent runs two attempts of a task at once").toEqual([]);
  for (const [id, handed] of ledger.handed) {
    const attempts = handed.map(({ attempt }) => attempt);
    expect(new Set(attempts).size, `${id}: no attempt is handed out twice: ${JSON.stringify(handed)}`).toBe(
      attempts.length,
    );
    for (const agent of new Set(handed.map((entry) => entry.agent))) {
      const own = handed.filter((entry) => entry.agent === agent).map(({ attempt }) => attempt);
      expect(own, `${id}: an agent's attempts grow`).toEqual(own.toSorted((a, b) => a - b));
    }
  }
  for (const [id, views] of ledger.watched) {
    const ranks = views.map(rank);
    expect(ranks, `${id}: what a watcher sees only moves forward: ${JSON.stringify(views)}`).toEqual(
      ranks.toSorted((a, b) => a - b),
    );
    expect(views.at(-1)?.status).toBe("succeeded");
  }
}

function responseOf(view: TaskView | undefined): string | undefined {
  return view?.response !== undefined && "text" in view.response ? view.response.text : undefined;
}

/** Grows with a task's progress: attempts first, then scheduled or retrying before started before ended. */
function rank({ status, attempt, failures, lost }: TaskView): number {
  const place = { scheduled: 0, started: 2, retrying: 3, succeeded: 4, failed: 4, cancelled: 4 }[status];
  return status === "succeeded" || status === "failed" || status === "cancelled"
    ? Infinity
    : (attempt + failures + lost) * 10 + place;
}
