import { setTimeout as sleep } from "node:timers/promises";

import { isInstance, type Bus, type Client } from "@ergon/core";
import { shardOf, type Names } from "@ergon/core/engine";

import type { Member, Processes } from "./processes.ts";
import { Stopped } from "./stop-reason.ts";
import { counted, type View } from "./view.ts";
import type { Work } from "./work.ts";

/** What was killed, and what became of what it had. */
export interface Kill {
  readonly member: Member;
  readonly recoveredMs: number;
}

export interface KillParts {
  readonly processes: Processes;
  readonly client: Client;
  readonly bus: Bus;
  readonly names: Names;
  readonly work: Work;
  readonly view: View;
}

/** The files whose answers are held back until something is killed: one of them, or two. */
export interface Marks {
  readonly agent: number;
  readonly node: number;
}

/** How often the cluster is asked whether it has recovered. */
const LOOK_MS = 10;
/** Longer than any recovery may take. */
const PATIENCE_MS = 30_000;

/** With `total` files: where a third and where two thirds of them are done. */
export function marksOf(total: number): Marks {
  return { agent: Math.floor(total / 3), node: Math.floor((2 * total) / 3) };
}

/**
 * Kills an agent, then a node. Each time the answer of one task is held back until the kill, so that it is sure to hit
 * work under way: in the agent, and in a shard of the node.
 */
export async function killInTheMiddle(parts: KillParts, marks: Marks): Promise<readonly Kill[]> {
  const { processes, work } = parts;
  const holds = new Holds(processes, [work.taskOf(marks.agent), work.taskOf(marks.node)]);
  const agent = await killAgent(parts, work.taskOf(marks.agent), await holds.holder(work.taskOf(marks.agent)));
  holds.died(agent.member);
  if (marks.agent !== marks.node) holds.release(work.taskOf(marks.agent));
  await holds.holder(work.taskOf(marks.node));
  const node = await killNode(parts, work.taskOf(marks.node), () => holds.release(work.taskOf(marks.node)));
  return [agent, node];
}

/** Who holds back which answer. */
class Holds {
  readonly #processes: Processes;
  readonly #wanted: Set<string>;
  readonly #holders: Map<string, Member> = new Map();
  #changed: () => void = () => undefined;

  constructor(processes: Processes, tasks: readonly string[]) {
    this.#processes = processes;
    this.#wanted = new Set(tasks);
    processes.onHolding((agent, task) => {
      if (!this.#wanted.has(task)) return processes.goOn(agent, task);
      this.#holders.set(task, agent);
      this.#changed();
    });
  }

  /** The agent that holds the task's answer back, as soon as one does. */
  async holder(task: string): Promise<Member> {
    for (;;) {
      const holder = this.#holders.get(task);
      if (holder !== undefined) return holder;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  /** What a dead agent held is held by another soon. */
  died(agent: Member): void {
    for (const [task, holder] of this.#holders) if (holder.pid === agent.pid) this.#holders.delete(task);
  }

  release(task: string): void {
    this.#wanted.delete(task);
    const holder = this.#holders.get(task);
    if (holder !== undefined) this.#processes.goOn(holder, task);
  }
}

async function killAgent({ processes, client, work, view }: KillParts, task: string, agent: Member): Promise<Kill> {
  work.pause();
  const killedAt = performance.now();
  await processes.kill(agent);
  view.event("red", `killed ${agent.name} (kill -9 ${agent.pid}) at work`);
  await until(`the tasks of ${agent.name} run elsewhere`, async () => {
    if ((await client.get(task)).lost === 0) return false;
    const started = await client.list({ status: "started", limit: 1_000 });
    const retrying = await client.list({ status: "retrying", limit: 1_000 });
    const stranded = [...started.tasks, ...retrying.tasks].some(
      (one) => !isInstance(one) && (one.status === "started" ? one.agent === agent.id : one.lost > 0),
    );
    return !stranded && started.missingShards === undefined && retrying.missingShards === undefined;
  });
  const recoveredMs = Math.round(performance.now() - killedAt);
  view.event("green", `recovered after ${recoveredMs} ms: its tasks run on the two agents that are left`);
  work.resume();
  return { member: agent, recoveredMs };
}

async function killNode(
  { processes, client, bus, names, work, view }: KillParts,
  task: string,
  afterwards: () => void,
): Promise<Kill> {
  const { shards } = await client.shards();
  const owner = shards[shardOf(task, shards.length)]?.node;
  const node = processes.nodes.find(({ id }) => id === owner);
  if (node === undefined) throw new Stopped(`no node hosts the shard of task ${task}`);

  const orphans = new Set(shards.filter((shard) => shard.node === node.id).map(({ shard }) => shard));
  const hosted = orphans.size;
  const live = [...work.live].filter((id) => orphans.has(shardOf(id, shards.length))).length;
  const taken = Promise.withResolvers<void>();
  const subscription = bus.subscribe(names.ownedAll, ({ subject }) => {
    orphans.delete(Number(subject.slice(subject.lastIndexOf(".") + 1)));
    if (orphans.size === 0) taken.resolve();
  });
  await bus.flush();

  const killedAt = performance.now();
  work.pause();
  await processes.kill(node);
  view.event(
    "red",
    `killed ${node.name} (kill -9 ${node.pid}), host of ${hosted} shards with ${counted(live, "live task")}`,
  );
  afterwards();
  const timeout = AbortSignal.timeout(PATIENCE_MS);
  timeout.addEventListener("abort", () =>
    taken.reject(new Stopped(`nobody hosts ${orphans.size} shards of ${node.name} after ${PATIENCE_MS} ms`)),
  );
  await taken.promise;
  subscription.unsubscribe();
  const recoveredMs = Math.round(performance.now() - killedAt);
  view.event("green", `recovered after ${recoveredMs} ms: the node that is left hosts all ${shards.length} shards`);
  work.resume();
  return { member: node, recoveredMs };
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !(await isSo());) {
    if (performance.now() > end) throw new Stopped(`${PATIENCE_MS} ms passed, and still it is not so that ${what}`);
    await sleep(LOOK_MS);
  }
}
