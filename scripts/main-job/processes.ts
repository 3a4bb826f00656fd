import { fork, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { messageOf } from "@ergon/core";
import { startNatsServer, type NatsServer } from "@ergon/node/nats-server";

import type { ChildMessage, ChildOptions, GoOn } from "./messages.ts";
import { Stopped } from "./stop-reason.ts";

/** A process of the cluster: a node or an agent. */
export interface Member {
  /** What people call it. */
  readonly name: string;
  /** What the cluster calls it. */
  readonly id: string;
  readonly pid: number;
}

/** Everything that runs beside the job: nats-server, nodes, agents, and the folder with what they store. */
export interface Processes {
  readonly url: string;
  readonly nodes: readonly Member[];
  readonly agents: readonly Member[];
  /** Rejects as soon as a process ends that nobody has killed. */
  readonly broken: Promise<never>;
  /** Called when an agent holds an answer back. */
  onHolding(handler: (agent: Member, task: string) => void): void;
  goOn(agent: Member, task: string): void;
  /** SIGKILL; resolves when the process is gone. */
  kill(member: Member): Promise<void>;
}

const entries = {
  node: fileURLToPath(new URL("node-process.ts", import.meta.url)),
  agent: fileURLToPath(new URL("agent-process.ts", import.meta.url)),
};
const LAST_LINES = 20;

/** Says how to undo what has just been done; called in the reverse order. */
export type OnStop = (stop: () => Promise<unknown>) => void;

/** Starts nats-server, then two nodes and three agents at once. Throws `Stopped` when one of them cannot be started. */
export async function startProcesses(folder: string, onStop: OnStop): Promise<Processes> {
  const store = await mkdtemp(path.join(tmpdir(), "ergon-main-job-"));
  onStop(() => rm(store, { recursive: true, force: true, maxRetries: 3 }));
  const server = await startServer(store);
  onStop(() => server.stop());

  const broken = Promise.withResolvers<never>();
  // Whoever waits for something races it with this; between two waits nobody may.
  broken.promise.catch(() => undefined);
  const breakDown = (reason: Stopped): void => broken.reject(reason);
  const stopped = new AbortController();
  onStop(async () => stopped.abort());
  void server.exited.then(() => stopped.signal.aborted || breakDown(new Stopped("nats-server ended by itself")));

  const leftovers = { folder: store, serverPid: server.pid };
  const start = (kind: keyof typeof entries, name: string): Child => {
    const child = new Child(kind, { name, url: server.url, folder, leftovers }, breakDown);
    onStop(() => child.kill());
    return child;
  };
  const agents = ["agent-1", "agent-2", "agent-3"].map((name) => start("agent", name));
  const nodes = ["node-1", "node-2"].map((name) => start("node", name));
  await Promise.race([broken.promise, Promise.all([...nodes, ...agents].map((child) => child.ready))]);

  const childOf = (member: Member): Child => {
    const child = [...nodes, ...agents].find(({ pid }) => pid === member.pid);
    if (child === undefined) throw new Error(`no child has the process id ${member.pid}`);
    return child;
  };
  return {
    url: server.url,
    nodes,
    agents,
    broken: broken.promise,
    onHolding: (handler) => {
      for (const agent of agents) agent.onHolding = (task) => handler(agent, task);
    },
    goOn: (agent, task) => childOf(agent).goOn({ task }),
    kill: (member) => childOf(member).kill(),
  };
}

async function startServer(store: string): Promise<NatsServer> {
  try {
    return await startNatsServer({ storeDir: store });
  } catch (error) {
    throw new Stopped(messageOf(error));
  }
}

class Child implements Member {
  readonly name: string;
  readonly ready: Promise<void>;
  id = "";
  onHolding: (task: string) => void = () => undefined;
  readonly #process: ChildProcess;
  readonly #gone: Promise<void>;
  #killed = false;

  constructor(kind: keyof typeof entries, options: ChildOptions, breakDown: (reason: Stopped) => void) {
    const ready = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const lines: string[] = [];
    this.name = options.name;
    this.ready = ready.promise;
    this.#gone = gone.promise;
    this.#process = fork(entries[kind], [JSON.stringify(options)], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    if (this.#process.stderr !== null) {
      createInterface({ input: this.#process.stderr }).on("line", (line) => {
        lines.push(line);
        if (lines.length > LAST_LINES) lines.shift();
        if (process.env["ERGON_DEBUG"]) process.stderr.write(`${this.name}: ${line}\n`);
      });
    }
    this.#process.on("message", (message: ChildMessage) => {
      switch (message.kind) {
        case "ready":
          this.id = message.id;
          return ready.resolve();
        case "failed":
          return breakDown(new Stopped(`${this.name} cannot start: ${message.reason}`, 1, lines));
        case "holding":
          return this.onHolding(message.task);
      }
    });
    this.#process.on("error", (error) => {
      breakDown(new Stopped(`${this.name} cannot be started: ${error.message}`));
      gone.resolve();
    });
    this.#process.on("close", (code, signal) => {
      if (!this.#killed)
        breakDown(new Stopped(`${this.name} ended by itself (${signal ?? `exit code ${code}`})`, 1, lines));
      gone.resolve();
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  goOn(message: GoOn): void {
    // One that was killed meanwhile has no ears.
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  kill(): Promise<void> {
    this.#killed = true;
    this.#process.kill("SIGKILL");
    return this.#gone;
  }
}
