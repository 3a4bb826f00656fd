// npm run bench [-- --quick] [--json]: what Ergon does on this machine, and what the server and the wire alone would do, in the same run.
import { cpus } from "node:os";
import { parseArgs } from "node:util";

import { measureAlarms } from "./alarms.ts";
import { measureFloor, type Floor } from "./floor.ts";
import { Load } from "./load.ts";
import { measureRecovery, type Recovery } from "./recovery.ts";
import { printReport } from "./report.ts";
import { measureScale, type Scale } from "./scale.ts";
import { settings, startStage, type Setting, type Usage } from "./stage.ts";

export interface Result {
  readonly setting: string;
  readonly floor: Floor;
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
  readonly alarms: Alarms;
}

export interface Alarms {
  readonly count: number;
  readonly setPerSecond: number;
  readonly latenessMs: Percentiles;
  readonly allMs: number;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

interface Sizes {
  readonly warmUp: number;
  readonly tasks: number;
  readonly sequential: number;
  readonly seconds: number;
  readonly floor: number;
  readonly killed: number;
  readonly live: number;
  readonly retained: number;
  readonly alarms: number;
}

const full: Sizes = {
  warmUp: 40_000,
  tasks: 100_000,
  sequential: 3_000,
  seconds: 8,
  floor: 50_000,
  killed: 2_000,
  live: 100_000,
  retained: 1_000_000,
  alarms: 20_000,
};
const quick: Sizes = {
  warmUp: 15_000,
  tasks: 30_000,
  sequential: 1_000,
  seconds: 3,
  floor: 20_000,
  killed: 600,
  live: 20_000,
  retained: 100_000,
  alarms: 5_000,
};
const IN_FLIGHT = 2_048;

const { values } = parseArgs({
  options: { quick: { type: "boolean" }, json: { type: "boolean" }, setting: { type: "string" } },
});
const sizes = values.quick === true ? quick : full;
const results: Result[] = [];
for (const setting of settings) {
  if (values.setting !== undefined && !setting.name.includes(values.setting)) continue;
  results.push(await measure(setting));
}
const machine = `${cpus().length} x ${cpus()[0]?.model ?? "unknown"}, Node ${process.version}`;
if (values.json === true) process.stdout.write(`${JSON.stringify({ machine, sizes, results }, undefined, 2)}\n`);
else printReport(machine, results);

async function measure(setting: Setting): Promise<Result> {
  progress(`${setting.name}: floor`);
  const stage = await startStage(setting);
  const floor = await measureFloor(stage.urls, setting, sizes.floor);
  progress(`${setting.name}: ${sizes.alarms} alarms at once`);
  const { setPerSecond, latenessMs } = await measureAlarms(stage.urls, setting, sizes.alarms);
  const node = await stage.node();
  const agent = await stage.agent();
  const load = await Load.connect(stage.urls);
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
  await load.close();
  await stage.stop();
  return {
    setting: setting.name,
    floor,
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
    alarms: {
      count: sizes.alarms,
      setPerSecond,
      latenessMs: percentiles(latenessMs),
      allMs: Math.max(...latenessMs),
    },
  };
}

function percentiles(times: number[]): Percentiles {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

function progress(what: string): void {
  process.stderr.write(`${what}\n`);
}
