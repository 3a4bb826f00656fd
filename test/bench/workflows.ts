import { createClient, type Client, type Instance, type PlanDefinition } from "@ergon/core";
import { MSGPACK_TYPE, encodeBody } from "@ergon/core/engine";

import { runErgon } from "../support/ergon-process.ts";
import type { Load, RoundTrip } from "./load.ts";
import { percentiles, type Percentiles } from "./percentiles.ts";
import { machinesFile } from "./processes/machines.ts";
import { progress } from "./progress.ts";
import type { Stage, Usage, Worker } from "./stage.ts";

/** Five no-op tasks one after the other, as one machine or one plan. */
export interface Workflow {
  readonly perSecond: number;
  readonly inFlight: number;
  readonly sequentialMs: Percentiles;
  /** CPU microseconds of one workflow. */
  readonly cpuUs: Readonly<Record<"node" | "agent" | "server", number>>;
  /** How much longer the slowest took because one of two nodes was killed while all were under way. */
  readonly killedMs: number;
}

export interface Workflows {
  readonly machine: Workflow;
  readonly plan: Workflow;
  /** Instances whose `after` is due in one second, and how late their end is heard. */
  readonly timers: { readonly count: number; readonly latenessMs: Percentiles & { readonly least: number } };
  /** What an instance that waits takes in its node. */
  readonly waitingBytes: number;
  /** Of `ergon check` over the instances that wait; its start is not counted. */
  readonly checkedPerSecond: number;
}

export interface WorkflowSizes {
  readonly workflows: number;
  readonly sequential: number;
  readonly killed: number;
  readonly timers: number;
  readonly waiting: number;
}

const IN_FLIGHT = 512;
const DATA = Buffer.alloc(100, "a");
const WORK_MS = 20;
const HOUR = 3_600_000;

export async function measureWorkflows(
  stage: Stage,
  load: Load,
  node: Worker,
  sizes: WorkflowSizes,
): Promise<Workflows> {
  const machine = roundTripOf(load, load.names.start("five"), encodeBody(DATA, MSGPACK_TYPE), MSGPACK_TYPE);
  const plan = roundTripOf(load, load.names.start("plan"), encodeBody(fiveSteps(), MSGPACK_TYPE), MSGPACK_TYPE);
  progress(`${sizes.waiting} instances that wait`);
  await startWaiting(load, 1_000, Date.now() + HOUR);
  const waitingBytes = await waiting(load, node, sizes.waiting);
  const checkedPerSecond = await checked(stage.urls, sizes.waiting + 1_000);
  const agent = await stage.agent();
  progress(`${sizes.workflows} machines and plans of five tasks`);
  const quick = { machine: await pace(machine), plan: await pace(plan) };
  await agent.stop();
  progress(`${sizes.killed} machines and plans, and kill -9`);
  const killed = {
    machine: await survive(async (client) => client.start("five", DATA)),
    plan: await survive(async (client) => client.plan(fiveSteps())),
  };
  progress(`${sizes.timers} timers due in one second`);
  return {
    machine: { ...quick.machine, killedMs: killed.machine },
    plan: { ...quick.plan, killedMs: killed.plan },
    waitingBytes,
    checkedPerSecond,
    timers: await due(load, sizes.timers),
  };

  async function pace(one: RoundTrip): Promise<Omit<Workflow, "killedMs">> {
    await load.many(sizes.workflows, 128, one);
    const before = await usages(stage, node, agent);
    const ms = await load.many(sizes.workflows, IN_FLIGHT, one);
    const after = await usages(stage, node, agent);
    const cpuUs = (who: keyof typeof before): number => (after[who].cpuUs - before[who].cpuUs) / sizes.workflows;
    return {
      perSecond: (sizes.workflows / ms) * 1_000,
      inFlight: IN_FLIGHT,
      sequentialMs: percentiles(await load.sequential(sizes.sequential, one)),
      cpuUs: { node: cpuUs("node"), agent: cpuUs("agent"), server: cpuUs("server") },
    };
  }

  /** All at once, three times: to warm up, undisturbed, and with one of two nodes killed half way. */
  async function survive(start: (client: Client) => Promise<Instance>): Promise<number> {
    const client = createClient({ bus: load.bus });
    const slow = await stage.agent({ concurrency: 100, workMs: WORK_MS });
    const spare = await stage.node();
    const longest = async (disturb: () => void, afterMs: number): Promise<number> => {
      const begun = performance.now();
      setTimeout(disturb, afterMs);
      const one = async (): Promise<void> => {
        const { status } = await (await start(client)).wait();
        if (status !== "succeeded") throw new Error(`a workflow ${status}`);
      };
      await Promise.all(Array.from({ length: sizes.killed }, one));
      return performance.now() - begun;
    };
    await longest(() => undefined, 0);
    const undisturbed = await longest(() => undefined, 0);
    const disturbed = await longest(() => spare.kill(), undisturbed / 2);
    await slow.stop();
    await client.close();
    return disturbed - undisturbed;
  }
}

/** Its last answer must be what went into the first task. */
function roundTripOf(load: Load, subject: string, body: Uint8Array, contentType?: string): RoundTrip {
  return async () => {
    const { data, ms } = await load.run(subject, body, contentType);
    if (!Buffer.from(data).includes(DATA.subarray(0, 64)) && !Buffer.from(data).includes(BASE64))
      throw new Error(`an answer of ${data.length} bytes: ${Buffer.from(data).toString().slice(0, 200)}`);
    return ms;
  };
}
const BASE64 = DATA.toString("base64").slice(0, 64);

function fiveSteps(): PlanDefinition {
  const text = DATA.toString();
  const steps = ["a", "b", "c", "d", "e"].map((id, index, ids) => ({
    id,
    driver: "bench",
    payload: index === 0 ? text : `\${steps.${ids[index - 1]}.output}`,
  }));
  return { steps, output: "${steps.e.output}" };
}

async function usages(stage: Stage, node: Worker, agent: Worker): Promise<Record<"node" | "agent" | "server", Usage>> {
  return { node: await node.usage(), agent: await agent.usage(), server: stage.servers() };
}

async function waiting(load: Load, node: Worker, count: number): Promise<number> {
  const before = await node.usage();
  await startWaiting(load, count, Date.now() + HOUR);
  const after = await node.usage();
  return (after.heapBytes - before.heapBytes) / count;
}

async function checked(urls: string, count: number): Promise<number> {
  const timed = async (namespace: string): Promise<number> => {
    const start = performance.now();
    const { code, err } = await runErgon(["check", "--machines", machinesFile, "--namespace", namespace], {
      NATS_URL: urls,
    });
    if (code !== 0) throw new Error(err);
    return performance.now() - start;
  };
  const empty = await timed("nothing");
  return (count / ((await timed("default")) - empty)) * 1_000;
}

/** From the time that an instance's timer is due until its end is heard; the times lie in one second. */
async function due(load: Load, count: number): Promise<Workflows["timers"]> {
  const latenessMs: number[] = [];
  const all = Promise.withResolvers<void>();
  // Time enough to start them all.
  const first = Date.now() + 2_000 + count * 0.5;
  const listening = load.bus.subscribe(load.names.event("waits", "succeeded", "*"), ({ subject }) => {
    latenessMs.push(Date.now() - dueAt(first, Number(subject.slice(subject.lastIndexOf("w") + 1))));
    if (latenessMs.length === count) all.resolve();
  });
  await load.bus.flush();
  await startWaiting(load, count, first);
  if (Date.now() > first) throw new Error(`${count} instances could not be started in time`);
  await all.promise;
  listening.unsubscribe();
  return { count, latenessMs: { ...percentiles(latenessMs), least: Math.min(...latenessMs) } };
}

function dueAt(first: number, index: number): number {
  return first + (index % 1_000);
}

let batch = 0;

async function startWaiting(load: Load, count: number, first: number): Promise<void> {
  const client = createClient({ bus: load.bus });
  const name = `b${batch++}-`;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      await client.start("waits", { dueAt: dueAt(first, index) }, { id: `${name}w${index}` });
    }
  };
  await Promise.all(Array.from({ length: 256 }, lane));
  await client.close();
}
