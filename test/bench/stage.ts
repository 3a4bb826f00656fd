import { fork, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import type { HeapProfiler, Profiler } from "node:inspector";
import path from "node:path";

import { startTestCluster, startTestServer, type TestServer, type TestServerOptions } from "../support/nats-server.ts";
import { machinesFile } from "./processes/machines.ts";

export interface Setting {
  readonly name: string;
  readonly replicas: 1 | 3;
  readonly sync: string | undefined;
  readonly buckets: number;
}

export const settings: readonly Setting[] = [
  { name: "R1, default sync", replicas: 1, sync: undefined, buckets: 1 },
  { name: "R1, sync always", replicas: 1, sync: "always", buckets: 1 },
  { name: "R3, sync always", replicas: 3, sync: "always", buckets: 1 },
];

/** CPU in microseconds since the process's start, memory in bytes. */
export interface Usage {
  readonly cpuUs: number;
  readonly rssBytes: number;
  readonly heapBytes: number;
  /** Allocated on the heap since the process's start. */
  readonly allocatedBytes: number;
}

export interface Worker {
  readonly id: string;
  usage(): Promise<Usage>;
  /** A CPU profile of the time until the returned function is called. */
  profileTime(): Promise<() => Promise<Profiler.Profile>>;
  /** A profile of what is allocated until the returned function is called. */
  profileAllocations(): Promise<() => Promise<HeapProfiler.SamplingHeapProfile>>;
  kill(): void;
  stop(): Promise<void>;
}

/** NATS servers of one setting; nodes and agents are processes of their own. */
export interface Stage {
  readonly urls: string;
  readonly setting: Setting;
  node(): Promise<Worker>;
  agent(options?: { readonly concurrency?: number; readonly workMs?: number }): Promise<Worker>;
  servers(): Usage;
  /** A CPU profile of the first server over the next seconds, as pprof writes it. */
  serverProfile(seconds: number): Promise<Uint8Array>;
  storedBytes(): Promise<number>;
  stop(): Promise<void>;
}

const TICK_US = 10_000;

/** With `profiled`, the servers can write profiles. */
export async function startStage(setting: Setting, profiled = false): Promise<Stage> {
  const profiling = Promise.withResolvers<number>();
  const options: TestServerOptions = {
    ...(setting.sync === undefined ? {} : { sync: setting.sync }),
    ...(profiled ? { configuration: { prof_port: -1 }, onLog: (line: string) => heard(line) } : {}),
  };
  const heard = (line: string): void => {
    const port = /profiling port: (\d+)/.exec(line)?.[1];
    if (port !== undefined) profiling.resolve(Number(port));
  };
  const cluster = setting.replicas === 3 ? await startTestCluster(options) : undefined;
  const single = cluster === undefined ? await startTestServer(options) : undefined;
  const servers = cluster?.servers ?? (single === undefined ? [] : [single]);
  const urls = servers.map(({ url }) => url).join(",");
  const workers: Worker[] = [];
  const start = async (file: string, ...args: string[]): Promise<Worker> => {
    const worker = await startWorker(file, urls, ...args);
    workers.push(worker);
    return worker;
  };
  return {
    urls,
    setting,
    node: () => {
      const { replicas, buckets } = setting;
      return start("node", JSON.stringify({ replicas, buckets, machines: [machinesFile] }));
    },
    agent: ({ concurrency = 5_000, workMs = 0 } = {}) => start("agent", String(concurrency), String(workMs)),
    servers: () =>
      servers
        .map(serverUsage)
        .reduce((a, b) => ({ ...a, cpuUs: a.cpuUs + b.cpuUs, rssBytes: a.rssBytes + b.rssBytes })),
    serverProfile: async (seconds) => {
      const url = `http://127.0.0.1:${await profiling.promise}/debug/pprof/profile?seconds=${seconds}`;
      const response = await fetch(url);
      if (!response.ok) throw new Error(`${url} answered ${response.status}`);
      return response.bytes();
    },
    storedBytes: async () =>
      (await Promise.all(servers.map(({ storeDir }) => sizeOf(storeDir)))).reduce((a, b) => a + b, 0),
    stop: async () => {
      for (const worker of workers.toReversed()) await worker.stop();
      await (cluster ?? single)?.stop();
    },
  };
}

async function startWorker(file: string, ...args: string[]): Promise<Worker> {
  const execArgv = [
    "--conditions=@ergon/source",
    "--disable-warning=ExperimentalWarning",
    "--expose-gc",
    ...(process.env["ERGON_NODE_FLAGS"] ?? "").split(" ").filter(Boolean),
  ];
  const child: ChildProcess = fork(new URL(`./processes/${file}.ts`, import.meta.url), args, {
    execArgv,
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
  });
  const next = <T>(): Promise<T> =>
    new Promise((resolve, reject) => {
      child.once("message", (message) => resolve(message as T));
      void exited.then(() => reject(new Error(`the ${file} process has ended`)));
    });
  const ask = <T>(question: string): Promise<T> => {
    const answer = next<T>();
    child.send(question);
    return answer;
  };
  const { id } = await next<{ id: string }>();
  return {
    id,
    usage: () => ask<Usage>("usage"),
    profileTime: async () => {
      await ask("profile");
      return () => ask<Profiler.Profile>("profiled");
    },
    profileAllocations: async () => {
      await ask("heap");
      return () => ask<HeapProfiler.SamplingHeapProfile>("heaped");
    },
    kill: () => child.kill("SIGKILL"),
    stop: () => {
      if (child.exitCode === null && child.signalCode === null) child.send("stop");
      return exited;
    },
  };
}

function serverUsage({ pid }: TestServer): Usage {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const pages = Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
  return {
    cpuUs: (Number(fields[11]) + Number(fields[12])) * TICK_US,
    rssBytes: pages * 4_096,
    heapBytes: 0,
    allocatedBytes: 0,
  };
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(path.join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}
