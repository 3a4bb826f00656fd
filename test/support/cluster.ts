import { fork, type ChildProcess } from "node:child_process";
import path from "node:path";

import { connect, type Client, type ShardMap, type TaskRequest, type TaskView } from "@ergon/core";
import { H, createNames, shardOf } from "@ergon/core/engine";
import type { NodeOptions } from "@ergon/node";
import { connect as connectClassic, headers } from "nats";

import { startProxy, type Point, type Proxy } from "./cluster-proxy.ts";
import { eventually } from "./eventually.ts";
import { openLedger, type AgentSettings, type Expected, type Ledger } from "./ledger.ts";

/** A node or agent in a process of its own, behind a proxy of its own. */
export interface Member {
  readonly kind: "node" | "agent";
  /** The node's or the agent's id. */
  readonly id: string;
  readonly pid: number;
  readonly proxy: Proxy;
  /** What it has written to standard error. */
  readonly errors: () => string;
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP, until `resume`. */
  pause(): void;
  resume(): void;
  /** Asks it to end in good order (SIGTERM); resolves when it has. */
  stop(): Promise<number | NodeJS.Signals>;
}

interface StartOptions<T> {
  readonly settings?: T;
  /** Modules that the process loads first. */
  readonly imports?: readonly string[];
  /** Connects past its proxy, to all of these. */
  readonly servers?: readonly string[];
}

export interface ClusterOptions {
  readonly url: string;
  readonly namespace: string;
  /** For the cluster's own connections, where there are several servers. */
  readonly servers?: readonly string[];
  /** Options of every node. */
  readonly node?: NodeOptions;
}

/** Nodes and agents of one namespace in processes of their own; every fault is a verb. */
export interface Cluster {
  /** Of the NATS server, past every proxy. */
  readonly url: string;
  readonly client: Client;
  readonly ledger: Ledger;
  readonly members: readonly Member[];
  startNode(options?: StartOptions<NodeOptions>): Promise<Member>;
  startAgent(options?: StartOptions<Partial<AgentSettings>>): Promise<Member>;
  /** Resolves with the member of the kind that reaches the point first: its wire stands still then. */
  hold(kind: Member["kind"], point: Point): Promise<Member>;
  /** Runs a task to its end, and remembers it for the last check. */
  run(request: Partial<TaskRequest> & { readonly id: string }): Promise<Expected>;
  /**
   * The same, by a client that asks again when it has no answer within a moment: a paused node is still one of those that the server picks from, so
   * a question may have gone to it.
   */
  insist(id: string, options?: Readonly<Record<string, string>>): Promise<Expected>;
  /** The task as it is, whoever is paused. */
  get(id: string): Promise<TaskView>;
  /** Tasks that have ended. */
  readonly ended: Expected[];
  /** Resolves when these nodes, and no others, own all shards, none more than one above another. */
  waitForShards(nodes: readonly Member[]): Promise<void>;
  /** Resolves with the owner of the task's shard, once it is one of the members. */
  waitForOwner(id: string): Promise<Member>;
  /** An id that is new, and whose shard the node owns. */
  newIdAt(node: Member): Promise<string>;
  stop(): Promise<void>;
}

const SHARDS = 4;
const PATIENCE_MS = 500;
const folder = path.join(import.meta.dirname, "processes");

export async function startCluster({ url, namespace, servers, node: common = {} }: ClusterOptions): Promise<Cluster> {
  const all = servers ?? [url];
  const client = await connect({ namespace, nats: { servers: all } });
  const ledger = await openLedger(url, namespace);
  const members: Member[] = [];
  const ended: Expected[] = [];
  let lastId = 0;
  const { hostname: host, port } = new URL(url);
  const nats = await connectClassic({ servers: [...all] });
  const { root } = createNames(namespace);

  const ask = (subject: string, body = "", options: Readonly<Record<string, string>> = {}): Promise<string> =>
    eventually(
      `an answer on ${subject}`,
      async () => {
        const sent = headers();
        for (const [name, value] of Object.entries(options)) sent.set(name, value);
        const reply = await nats.request(`${root}.${subject}`, body, { headers: sent, timeout: PATIENCE_MS });
        const error = reply.headers?.get(H.serviceError);
        if (error) throw new Error(error);
        // A task that has not ended, after all of its wait: asked again.
        return options[H.wait] === undefined || reply.headers?.get(H.final) === "true" ? reply.string() : undefined;
      },
      30_000,
    );

  const start = async (
    kind: Member["kind"],
    describe: (servers: string | readonly string[]) => object,
    options: StartOptions<unknown>,
  ): Promise<Member> => {
    const proxy = await startProxy({ host, port: Number(port) });
    const member = await startMember(kind, proxy, describe(options.servers ?? proxy.url), options.imports ?? []);
    members.push(member);
    void member.ended.then(() => members.splice(members.indexOf(member), 1));
    return member;
  };

  return {
    url,
    client,
    ledger,
    members,
    ended,
    startNode: (options = {}) =>
      start(
        "node",
        (at) => ({
          namespace,
          shards: SHARDS,
          drainMs: 5_000,
          log: { level: "warn", format: "json" },
          ...common,
          ...options.settings,
          nats: { servers: at },
        }),
        options,
      ),
    startAgent: (options = {}) =>
      start("agent", (at) => ({ namespace, ledgerUrl: url, ...options.settings, nats: { servers: at } }), options),
    hold: async (kind, point) => {
      const candidates = members.filter((member) => member.kind === kind);
      const reached = await Promise.race(candidates.map((member) => member.proxy.hold(point).then(() => member)));
      for (const other of candidates) if (other !== reached) other.proxy.forget();
      return reached;
    },
    run: async (request) => {
      const payload = request.text ?? `payload of ${request.id}`;
      const response = await client.run(
        { driver: "work", retry: { initial: 0 }, ...request, text: payload },
        { timeoutMs: 30_000 },
      );
      const done = { id: request.id, payload, response: response.text() };
      ended.push(done);
      return done;
    },
    insist: async (id, options = {}) => {
      const payload = `payload of ${id}`;
      const response = await ask("submit.work", payload, {
        [H.retryInitial]: "0ms",
        ...options,
        [H.id]: id,
        [H.wait]: "30s",
        [H.answer]: "response",
      });
      const done = { id, payload, response };
      ended.push(done);
      return done;
    },
    get: async (id) => JSON.parse(await ask(`get.${id}`)) as TaskView,
    waitForShards: async (nodes) => {
      await eventually(
        `${nodes.length} nodes share the shards`,
        async () => {
          const counts = new Map(nodes.map(({ id }) => [id, 0]));
          for (const { node } of (JSON.parse(await ask("cluster.shards")) as ShardMap).shards) {
            if (node === undefined || !counts.has(node)) return false;
            counts.set(node, (counts.get(node) ?? 0) + 1);
          }
          return Math.max(...counts.values()) - Math.min(...counts.values()) <= 1;
        },
        20_000,
      );
    },
    waitForOwner: (id) =>
      eventually(`the shard of ${id} has an owner`, async () => {
        const { shards } = await client.shards();
        return members.find((member) => member.id === shards[shardOf(id, shards.length)]?.node);
      }),
    newIdAt: async (node) => {
      const { shards } = JSON.parse(await ask("cluster.shards")) as ShardMap;
      for (;;) {
        const id = `task-${++lastId}-of-${node.pid}`;
        if (shards[shardOf(id, shards.length)]?.node === node.id) return id;
      }
    },
    stop: async () => {
      await client.close();
      await nats.close();
      await ledger.stop();
      await Promise.all(
        [...members].map(async (member) => {
          await member.kill();
          await member.proxy.stop();
        }),
      );
    },
  };
}

async function startMember(
  kind: Member["kind"],
  proxy: Proxy,
  settings: object,
  imports: readonly string[],
): Promise<Member> {
  const child: ChildProcess = fork(path.join(folder, `${kind}.ts`), [JSON.stringify(settings)], {
    execArgv: [
      "--conditions=@ergon/source",
      "--disable-warning=ExperimentalWarning",
      ...imports.map((file) => `--import=${file}`),
    ],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once("exit", (code, signal) => resolve(code ?? signal ?? 0));
  });
  const reap = (): void => void child.kill("SIGKILL");
  process.setMaxListeners(0);
  process.once("exit", reap);
  void ended.then(() => process.off("exit", reap));
  const { id } = await new Promise<{ id: string }>((resolve, reject) => {
    child.once("message", (message) => resolve(message as { id: string }));
    void ended.then((code) => reject(new Error(`the ${kind} ended with ${code} before it was ready:\n${errors}`)));
  });
  return {
    kind,
    id,
    pid: child.pid ?? 0,
    proxy,
    errors: () => errors,
    ended,
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    stop: () => {
      child.kill("SIGTERM");
      return ended;
    },
  };
}
