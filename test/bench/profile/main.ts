import { writeFile } from "node:fs/promises";

import { Load } from "../load.ts";
import { progress } from "../progress.ts";
import { startStage, type Setting, type Stage, type Worker } from "../stage.ts";
import { entriesOf } from "./entries.ts";
import { allocationSamples, timeSamples } from "./node-samples.ts";
import type { Sample } from "./sample.ts";
import { samplesOfServer } from "./server-samples.ts";
import { byEntry, byFunction, byPackage, type Share } from "./summary.ts";

export const profiled = ["node", "agent", "server"] as const;

export interface ProfileOptions {
  readonly who: (typeof profiled)[number];
  /** Bytes that are allocated instead of time; of the server there is no such profile. */
  readonly allocations: boolean;
  readonly warmUp: number;
  readonly seconds: number;
}

/** A profile that was taken and written to a file. */
interface Recording {
  readonly file: string;
  readonly samples: readonly Sample[];
  readonly tasks: number;
}

type Workers = Readonly<Record<"node" | "agent", Worker>>;

const IN_FLIGHT = 1_024;
const LEAST_SHARE = 0.005;
const MOST_FUNCTIONS = 30;

/** Writes a profile of one process under a load of single tasks, and prints where the time or the memory of a task goes. */
export async function profile(setting: Setting, options: ProfileOptions): Promise<void> {
  const { who, allocations } = options;
  const stage = await startStage(setting, true);
  const workers = { node: await stage.node(), agent: await stage.agent() };
  const load = await Load.connect(stage.urls);
  progress(`${setting.name}: warming up`);
  await load.many(options.warmUp, 256);
  progress(`${setting.name}: ${options.seconds} s of tasks, profiling the ${who}`);
  const cpuUs = async (): Promise<number> => (who === "server" ? stage.servers() : await workers[who].usage()).cpuUs;
  const before = await cpuUs();
  const recording = await record(stage, workers, load, options);
  const usedUs = (await cpuUs()) - before;
  await load.close();
  await stage.stop();
  const allocatedBytes = recording.samples.reduce((sum, { weight }) => sum + weight, 0);
  print(options, recording, (allocations ? allocatedBytes : usedUs) / recording.tasks);
}

async function record(
  stage: Stage,
  workers: Workers,
  load: Load,
  { who, allocations, seconds }: ProfileOptions,
): Promise<Recording> {
  if (who === "server") {
    if (allocations) throw new Error("--profile server --allocations: nats-server profiles its time only");
    const writing = stage.serverProfile(seconds);
    const tasks = await load.during(writing, IN_FLIGHT);
    const bytes = await writing;
    return { file: await written("server.pprof", bytes), tasks, samples: samplesOfServer(bytes) };
  }
  const over = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  if (allocations) {
    const stop = await workers[who].profileAllocations();
    const tasks = await load.during(over(), IN_FLIGHT);
    const result = await stop();
    return {
      file: await written(`${who}.heapprofile`, JSON.stringify(result)),
      tasks,
      samples: allocationSamples(result),
    };
  }
  const stop = await workers[who].profileTime();
  const tasks = await load.during(over(), IN_FLIGHT);
  const result = await stop();
  return { file: await written(`${who}.cpuprofile`, JSON.stringify(result)), tasks, samples: timeSamples(result) };
}

async function written(file: string, content: string | Uint8Array): Promise<string> {
  await writeFile(file, content);
  return file;
}

/** A profiler samples wall time, of which a busy machine gives a process only a part: it says the shares, and the process's CPU time says the sum. */
function print({ who, allocations }: ProfileOptions, { samples, tasks, file }: Recording, perTask: number): void {
  const unit = allocations ? "bytes" : "µs";
  const lines = (title: string, all: readonly Share[]): readonly string[] => [
    "",
    `${title.padEnd(45)}${`${unit}/task`.padStart(12)}   share`,
    ...all
      .filter(({ share }) => share >= LEAST_SHARE)
      .map(({ name, share }) => [name.padEnd(45), column(share * perTask, 12), column(share * 100, 7), "%"].join("")),
  ];
  const out = [
    `${who}: ${perTask.toFixed(1)} ${allocations ? "bytes allocated" : "µs of CPU"} a task, ${tasks.toLocaleString("en")} tasks`,
    ...lines("by message", byEntry(samples, entriesOf[who])),
    ...lines("by package", byPackage(samples)),
    ...lines("by function", byFunction(samples).slice(0, MOST_FUNCTIONS)),
    "",
    `The whole profile: ${file}`,
  ];
  process.stdout.write(`${out.join("\n")}\n`);
}

function column(value: number, width: number): string {
  return value.toFixed(1).padStart(width);
}
