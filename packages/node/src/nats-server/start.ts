import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { watch } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

import { findNatsServer } from "./find.ts";

export interface NatsServerOptions {
  /** The folder in which JetStream keeps its files. The function creates it if it is missing. */
  readonly storeDir: string;
  /** The path of the binary. @defaultValue the result of {@link findNatsServer} */
  readonly binary?: string;
  /** @defaultValue any free port */
  readonly port?: number;
  /**
   * The time at which writes reach the disk: `always` before each acknowledgement, or an interval in nats-server's notation (`2m`). @defaultValue the
   * server's own, `2m`
   */
  readonly sync?: string;
  /** The most bytes that JetStream may store. @defaultValue the server's own: three quarters of the free disk */
  readonly maxFileStoreBytes?: number;
  /** A configuration file of nats-server that the server reads first. */
  readonly include?: string;
  /** Other parts of nats-server's configuration, by its own names. */
  readonly configuration?: Readonly<Record<string, unknown>>;
  /** The callback gets every line of the server's log. */
  readonly onLog?: (line: string) => void;
}

export interface NatsServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly storeDir: string;
  /** Resolves when the process has ended for any reason. */
  readonly exited: Promise<void>;
  /** Asks the server to end, and resolves when it has ended. Idempotent. */
  stop(): Promise<void>;
  /** Sends a signal: `SIGKILL`, `SIGSTOP`, `SIGCONT`. */
  signal(name: NodeJS.Signals): void;
}

/**
 * Runs the server, and a shell beside it that ends the server when the shell's own input ends. The pipe from this process breaks however this process dies,
 * even by `kill -9`, and nats-server itself would not notice. The shell then removes the folder in which the server ran (`$0`). Both run in a process group
 * of their own, so that Ctrl-C reaches only this process.
 */
const GUARD = `
"$@" 3<&- </dev/null &
server=$!
(read -r _ <&3; kill -TERM $server; sleep 5; kill -KILL $server) >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait $server
code=$?
kill $guard 2>/dev/null
rm -rf -- "$0"
exit $code
`;

const LAST_LINES = 20;

/**
 * Starts a nats-server with JetStream on the loopback interface, without authentication, and resolves when it takes connections. Throws if there is no
 * binary, or if the server gives up, with the reason from its log.
 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const binary = options.binary ?? findNatsServer();
  if (binary === undefined) {
    throw new Error("no nats-server found: put one (2.14 or later) on PATH, or its path into ERGON_NATS_SERVER");
  }
  await mkdir(options.storeDir, { recursive: true });
  const runDir = await mkdtemp(path.join(tmpdir(), "ergon-nats-"));
  const configFile = path.join(runDir, "nats-server.conf");
  await writeFile(configFile, configurationOf(options, runDir));

  const child = start(binary, configFile);
  const lines: string[] = [];
  followLog(child, (line) => {
    lines.push(line);
    if (lines.length > LAST_LINES) lines.shift();
    options.onLog?.(line);
  });
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => {
      child.stdio[3]?.destroy();
      resolve();
    });
    child.once("error", () => resolve());
  }).then(() => rm(runDir, { recursive: true, force: true }));

  const found = await Promise.race([portsOf(runDir), exited.then(() => undefined)]);
  if (found === undefined) throw new Error(`nats-server did not start: ${reasonIn(lines)}`);
  const url = found.urls[0] ?? "";
  let stopping = false;
  return {
    url,
    port: Number(new URL(url).port),
    pid: found.pid,
    storeDir: options.storeDir,
    exited,
    stop: async () => {
      if (!stopping) {
        stopping = true;
        send(found.pid, "SIGTERM");
        // A stopped process handles SIGTERM only after SIGCONT.
        send(found.pid, "SIGCONT");
      }
      await exited;
    },
    signal: (name) => send(found.pid, name),
  };
}

/** Writes JSON without its outer braces, which is nats-server's own notation. An `include` names a file by its path relative to this one. */
function configurationOf(options: NatsServerOptions, runDir: string): string {
  const include = options.include === undefined ? "" : `include '${path.relative(runDir, options.include)}'\n`;
  const configuration = {
    listen: `127.0.0.1:${options.port ?? -1}`,
    ports_file_dir: runDir,
    ...options.configuration,
    jetstream: {
      store_dir: options.storeDir,
      ...(options.sync === undefined ? {} : { sync_interval: options.sync }),
      ...(options.maxFileStoreBytes === undefined ? {} : { max_file_store: options.maxFileStoreBytes }),
    },
  };
  return include + JSON.stringify(configuration).slice(1, -1);
}

function start(binary: string, configFile: string): ChildProcess {
  const command = [binary, "--config", configFile];
  if (process.platform === "win32") return spawn(binary, command.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
  // Nobody writes to the pipe at descriptor 3, so its end is the signal.
  return spawn("/bin/sh", ["-c", GUARD, path.dirname(configFile), ...command], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
}

function followLog(child: ChildProcess, hear: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on("line", hear);
  }
}

/** Returns the errors in the log, without process and time, or the whole log if it contains no error. */
function reasonIn(lines: readonly string[]): string {
  const faults = lines.flatMap((line) => /\[(?:ERR|FTL)\] (.*)$/.exec(line)?.[1] ?? []);
  return (faults.length === 0 ? lines : faults).join("\n");
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** The server writes its ports when it listens, into a file whose name contains its process id. */
async function portsOf(runDir: string): Promise<{ readonly pid: number; readonly urls: readonly string[] }> {
  const events = watch(runDir);
  try {
    return await new Promise((resolve) => {
      const look = (): void => void readPorts(runDir).then((found) => found !== undefined && resolve(found));
      events.on("change", look);
      look();
    });
  } finally {
    events.close();
  }
}

async function readPorts(runDir: string): Promise<{ pid: number; urls: readonly string[] } | undefined> {
  try {
    for (const file of await readdir(runDir)) {
      const [, pid] = /_(\d+)\.ports$/.exec(file) ?? [];
      if (pid === undefined) continue;
      const ports = JSON.parse(await readFile(path.join(runDir, file), "utf8")) as {
        readonly nats?: readonly string[];
      };
      if (ports.nats?.[0] !== undefined) return { pid: Number(pid), urls: ports.nats };
    }
  } catch {
    // The server has not written the file completely, or somebody removed it with the folder. The next change shows the result.
  }
  return undefined;
}
