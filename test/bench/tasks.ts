import type { Load } from "./load.ts";
import { percentiles, type Percentiles } from "./percentiles.ts";
import { progress } from "./progress.ts";
import { measureRecovery, type Recovery } from "./recovery.ts";
import { measureScale, type Scale } from "./scale.ts";
import type { Stage, Usage, Worker } from "./stage.ts";

/** What single tasks cost and how quick they are. */
export interface Tasks {
  readonly oneByOnePerSecond: number;
  readonly inFlight: number;
  readonly bulkPerSecond: number;
  readonly sequentialMs: Percentiles;
  readonly halfLoadMs: Percentiles;
  readonly halfLoadPerSecond: number;
  readonly cpuUsPerTask: Readonly<Record<"node" | "agent" | "server" | "client", number>>;
  /** Allocated on the heap; what a task keeps is another matter. */
  readonly allocatedBytesPerTask: Readonly<Record<"node" | "agent", number>>;
  readonly serverBytesPerTask: { readonly memory: number; readonly disk: number };
  readonly recovery: Recovery | undefined;
  readonly scale: Scale | undefined;
}

export interface TaskSizes {
  readonly warmUp: number;
  readonly tasks: number;
  readonly sequential: number;
  readonly seconds: number;
  readonly killed: number;
  readonly live: number;
  readonly retained: number;
}

const IN_FLIGHT = 2_048;

/** Without `faults` it measures the pace alone: no process is killed, and nothing is kept. */
export async function measureTasks(
  stage: Stage,
  load: Load,
  node: Worker,
  sizes: TaskSizes,
  faults: boolean,
): Promise<Tasks> {
  const { setting } = stage;
  const agent = await stage.agent();
  progress(`${setting.name}: warming up`);
  await load.many(sizes.warmUp, 256);

  progress(`${setting.name}: ${sizes.tasks} tasks one by one`);
  const [nodeBefore, agentBefore, serverBefore, diskBefore, clientBefore] = [
    await node.usage(),
    await agent.usage(),
    stage.servers(),
    await stage.storedBytes(),
    process.cpuUsage(),
  ];
  const oneByOneMs = await load.many(sizes.tasks, IN_FLIGHT);
  const client = process.cpuUsage(clientBefore);
  const [nodeAfter, agentAfter, serverAfter, diskAfter] = [
    await node.usage(),
    await agent.usage(),
    stage.servers(),
    await stage.storedBytes(),
  ];
  const per = (before: Usage, after: Usage): number => (after.cpuUs - before.cpuUs) / sizes.tasks;
  const oneByOnePerSecond = (sizes.tasks / oneByOneMs) * 1_000;

  progress(`${setting.name}: ${sizes.tasks} tasks in bulk`);
  const bulkMs = await load.bulk(sizes.tasks, 1_000);
  progress(`${setting.name}: round trips`);
  const sequential = percentiles(await load.sequential(sizes.sequential));
  const halfLoadPerSecond = oneByOnePerSecond / 2;
  const halfLoad = percentiles(await load.steady(halfLoadPerSecond, sizes.seconds));
  await agent.stop();

  const { recovery, scale } = faults ? await measureFaults(stage, load, node, sizes) : {};
  return {
    oneByOnePerSecond,
    inFlight: IN_FLIGHT,
    bulkPerSecond: (sizes.tasks / bulkMs) * 1_000,
    sequentialMs: sequential,
    halfLoadMs: halfLoad,
    halfLoadPerSecond,
    cpuUsPerTask: {
      node: per(nodeBefore, nodeAfter),
      agent: per(agentBefore, agentAfter),
      server: per(serverBefore, serverAfter),
      client: (client.user + client.system) / sizes.tasks,
    },
    allocatedBytesPerTask: {
      node: (nodeAfter.allocatedBytes - nodeBefore.allocatedBytes) / sizes.tasks,
      agent: (agentAfter.allocatedBytes - agentBefore.allocatedBytes) / sizes.tasks,
    },
    serverBytesPerTask: {
      memory: (serverAfter.rssBytes - serverBefore.rssBytes) / sizes.tasks,
      disk: (diskAfter - diskBefore) / sizes.tasks,
    },
    recovery,
    scale,
  };
}

async function measureFaults(
  stage: Stage,
  load: Load,
  node: Worker,
  { killed, live, retained }: TaskSizes,
): Promise<{ recovery: Recovery; scale: Scale | undefined }> {
  const { name, replicas } = stage.setting;
  progress(`${name}: kill -9`);
  const recovery = await measureRecovery(stage, load, killed);
  progress(`${name}: ${live} live, ${retained} retained`);
  return { recovery, scale: replicas === 1 ? await measureScale(stage, load, node, live, retained) : undefined };
}
