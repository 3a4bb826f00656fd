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
  readonly serverBytesPerTask: { readonly memory: number; readonly disk: number };
  readonly recovery: Recovery;
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

export async function measureTasks(stage: Stage, load: Load, node: Worker, sizes: TaskSizes): Promise<Tasks> {
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

  progress(`${setting.name}: kill -9`);
  const recovery = await measureRecovery(stage, load, sizes.killed);
  progress(`${setting.name}: ${sizes.live} live, ${sizes.retained} retained`);
  const scale = setting.replicas === 1 ? await measureScale(stage, load, node, sizes.live, sizes.retained) : undefined;
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
    serverBytesPerTask: {
      memory: (serverAfter.rssBytes - serverBefore.rssBytes) / sizes.tasks,
      disk: (diskAfter - diskBefore) / sizes.tasks,
    },
    recovery,
    scale,
  };
}
