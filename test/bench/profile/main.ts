import { writeFile } from "node:fs/promises";

import { Load } from "../load.ts";
import { progress } from "../progress.ts";
import { startStage, type Setting, type Stage, type Worker } from "../stage.ts";
import { entriesOf } from "./entries.ts";
import { samplesOfNode } from "./node-samples.ts";
import type { Sample } from "./sample.ts";
import { samplesOfServer } from "./server-samples.ts";
import { byEntry, byPackage, type Share } from "./summary.ts";

export const profiled = ["node", "agent", "server"] as const;
export type Profiled = (typeof profiled)[number];

const IN_FLIGHT = 1_024;
const LEAST_SHARE = 0.005;

/** Writes a CPU profile of one process under a load of single tasks, and prints where the time of a task goes. */
export async function profile(who: Profiled, setting: Setting, warmUp: number, seconds: number): Promise<void> {
  const stage = await startStage(setting);
  const node = await stage.node();
  const agent = await stage.agent();
  const load = await Load.connect(stage.urls);
  progress(`${setting.name}: warming up`);
  await load.many(warmUp, 256);
  progress(`${setting.name}: ${seconds} s of tasks, profiling the ${who}`);
  const workers = { node, agent };
  const cpuUs = async (): Promise<number> => (who === "server" ? stage.servers() : await workers[who].usage()).cpuUs;
  const before = await cpuUs();
  const { file, samples, tasks } = await record(who, stage, workers, load, seconds);
  const usPerTask = ((await cpuUs()) - before) / tasks;
  await load.close();
  await stage.stop();
  print(who, { usPerTask, tasks, samples, file });
}

async function record(
  who: Profiled,
  stage: Stage,
  workers: Readonly<Record<"node" | "agent", Worker>>,
  load: Load,
  seconds: number,
): Promise<{ file: string; samples: readonly Sample[]; tasks: number }> {
  if (who === "server") {
    const file = "server.pprof";
    const written = stage.serverProfile(seconds);
    const tasks = await load.during(written, IN_FLIGHT);
    const bytes = await written;
    await writeFile(file, bytes);
    return { file, tasks, samples: samplesOfServer(bytes) };
  }
  const file = `${who}.cpuprofile`;
  const stop = await workers[who].profile();
  const tasks = await load.during(new Promise((resolve) => setTimeout(resolve, seconds * 1_000)), IN_FLIGHT);
  const written = await stop();
  await writeFile(file, JSON.stringify(written));
  return { file, tasks, samples: samplesOfNode(written) };
}

/** A profiler samples wall time, of which a busy machine gives a process only a part: it says the shares, and the process's CPU time says the sum. */
function print(
  who: Profiled,
  { usPerTask, tasks, samples, file }: { usPerTask: number; tasks: number; samples: readonly Sample[]; file: string },
): void {
  const lines = (title: string, all: readonly Share[]): readonly string[] => [
    "",
    `${title.padEnd(46)} µs/task   share`,
    ...all
      .filter(({ share }) => share >= LEAST_SHARE)
      .map(({ name, share }) => [name.padEnd(45), column(share * usPerTask, 8), column(share * 100, 7), "%"].join("")),
  ];
  const out = [
    `${who}: ${usPerTask.toFixed(1)} µs of CPU a task, ${tasks.toLocaleString("en")} tasks`,
    ...lines("by message", byEntry(samples, entriesOf[who])),
    ...lines("by package", byPackage(samples)),
    "",
    `The whole profile: ${file}`,
  ];
  process.stdout.write(`${out.join("\n")}\n`);
}

function column(value: number, width: number): string {
  return value.toFixed(1).padStart(width);
}
