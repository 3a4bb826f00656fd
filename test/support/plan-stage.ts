import type { Handler } from "@ergon/agents";
import {
  TerminalError,
  describePlan,
  type MachineView,
  type PlanDefinition,
  type PlanView,
  type StepDefinition,
} from "@ergon/core";
import { delay } from "@ergon/core/engine";

import { createMemoryCluster, type MemoryCluster } from "./memory-cluster.ts";

interface Job {
  readonly name: string;
  readonly ms?: number;
}

/** A cluster with an agent that notes what it does. */
export async function stage(options: Parameters<typeof createMemoryCluster>[0] = {}): Promise<{
  cluster: MemoryCluster;
  done: string[];
  broken: Set<string>;
  most: () => number;
}> {
  const cluster = createMemoryCluster(options);
  const done: string[] = [];
  const broken = new Set<string>();
  let running = 0;
  let most = 0;
  const handler: Handler = async (attempt) => {
    const { name, ms = 0 } = attempt.json<Job>();
    running++;
    most = Math.max(most, running);
    try {
      if (ms > 0) await delay(cluster.clock, ms);
      attempt.signal.throwIfAborted();
      if (broken.has(name)) throw new TerminalError("BROKEN", `${name} is broken`);
      done.push(name);
      return { name };
    } finally {
      running--;
    }
  };
  await cluster.addNodes("n1", "n2");
  await cluster.addAgent("a1", { driver: "work", concurrency: 1_000, handler });
  return { cluster, done, broken, most: () => most };
}

export const job = (name: string, more: Partial<StepDefinition> = {}): StepDefinition =>
  ({ id: name, driver: "work", payload: { name }, retry: { maxAttempts: 1 }, ...more }) as StepDefinition;
export const undoable = (name: string, more: Partial<StepDefinition> = {}): StepDefinition =>
  job(name, { compensate: { driver: "work", payload: { name: `undo ${name}` }, retry: { maxAttempts: 1 } }, ...more });

export async function run(cluster: MemoryCluster, definition: PlanDefinition, id: string): Promise<PlanView> {
  const one = await cluster.drive(cluster.client().plan(definition, { id }));
  return describePlan(await cluster.drive(one.wait()));
}

export const statuses = (view: MachineView): Record<string, string> =>
  Object.fromEntries(describePlan(view).steps.map(({ id, status }) => [id, status]));

/** Counts the commits of a cluster, and their largest record. */
export function measure(cluster: MemoryCluster): { largest: number; bytes: number; records: number } {
  const measured = { largest: 0, bytes: 0, records: 0 };
  cluster.onCommit = (_, writes) => {
    for (const { data } of writes) {
      measured.largest = Math.max(measured.largest, data.length);
      measured.bytes += data.length;
      measured.records++;
    }
  };
  return measured;
}
