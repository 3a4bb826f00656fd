import { createAgent, type Agent, type AgentOptions, type Handler } from "@ergon/agents";
import {
  createClient,
  silentLogger,
  type Bus,
  type Client,
  type ClientOptions,
  type Logger,
  type Machine,
  type Message,
  type Random,
} from "@ergon/core";
import {
  H,
  QUEUE,
  createMachineRegistry,
  createNames,
  decodeRecord,
  statusOf,
  taskMachine,
  type LeaseStore,
  type Names,
  type RecordStore,
  type TaskContext,
  type Write,
} from "@ergon/core/engine";
import {
  createManualClock,
  createMemoryNetwork,
  seededRandom,
  type Faults,
  type ManualClock,
  type MemoryNetwork,
  type MemoryProcess,
  type ProcessClock,
} from "@ergon/core/testing";
import { startNode, type Node, type NodeParts } from "@ergon/node";

export interface MemoryClusterOptions {
  /** Everything that chance decides comes from it. @defaultValue 1 */
  readonly seed?: number;
  /** @defaultValue 8 */
  readonly shards?: number;
  /** @defaultValue 1 */
  readonly buckets?: number;
  /** Whether commits of a bucket go one at a time. @defaultValue false */
  readonly oneInFlight?: boolean;
  readonly faults?: Partial<Faults>;
  readonly maxMessageBytes?: number;
  /** Users' machines that every node knows. */
  readonly machines?: readonly Machine[];
  readonly sessionTtlMs?: number;
  /** Gets every line that nodes and agents log. */
  readonly onLog?: (line: string) => void;
}

/** What may happen to any process of the cluster. */
export interface Member {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly process: MemoryProcess;
  /** Killed, vanished or stopped. */
  gone: boolean;
  /** `kill -9`. */
  kill(): void;
  /** The host is gone without a word. */
  vanish(): void;
  /** SIGSTOP and SIGCONT. */
  pause(): void;
  resume(): void;
  /** The connection to NATS breaks, and is back. */
  disconnect(): void;
  reconnect(): void;
}

export interface NodeMember extends Member {
  readonly node: Node;
}

export interface AgentMember extends Member {
  readonly agent: Agent;
}

interface NodeSettings extends Partial<Pick<NodeParts, "drivers" | "heap" | "machines" | "random" | "sessionTtlMs">> {
  /** How far the machine's clock is off. */
  readonly clockOffsetMs?: number;
  /** How far it is from NATS, each way. */
  readonly distanceMs?: number;
}

type AgentSettings = Partial<AgentOptions> & {
  readonly distanceMs?: number;
  readonly driver?: string;
  readonly handler?: Handler;
  readonly concurrency?: number;
};

/** How often each kind of write, and reading, was asked of the server. */
interface WriteCounts {
  /** Records that were read one by one. */
  reads: number;
  /** Readings of the server's clock. */
  times: number;
  commits: number;
  records: number;
  claims: number;
  renewals: number;
  others: number;
}

interface StoredTask {
  readonly id: string;
  readonly shard: number;
  readonly status: string;
  readonly live: boolean;
  readonly task: TaskContext;
}

/** A whole cluster in this process: its time stands still unless it is driven, and the same seed gives the same run. */
export interface MemoryCluster {
  readonly clock: ManualClock;
  readonly random: Random;
  readonly network: MemoryNetwork;
  readonly names: Names;
  readonly nodes: readonly NodeMember[];
  readonly agents: readonly AgentMember[];
  readonly writes: WriteCounts;
  /** Called with every commit before it is sent. */
  onCommit: (node: string, writes: readonly Write[]) => void;
  /** Lets time run until the promise is settled. */
  drive<T>(promise: Promise<T>, limitMs?: number): Promise<T>;
  /** Starts a node and waits until it has joined; its share of the shards comes later ({@link MemoryCluster.waitForOwners}). */
  addNode(name: string, settings?: NodeSettings): Promise<NodeMember>;
  addNodes(...names: string[]): Promise<NodeMember[]>;
  addAgent(name: string, settings?: AgentSettings): Promise<AgentMember>;
  /** A NATS client that answers requests and knows nothing of Ergon. */
  addPlainAgent(driver: string, answer: (message: Message, bus: Bus) => void): MemoryProcess;
  client(options?: Partial<ClientOptions>): Client;
  /** A bare connection. */
  connect(name: string): MemoryProcess;
  /** Lets time run until every shard is served by a living node, evenly. */
  waitForOwners(): Promise<void>;
  /** Every record in the buckets, as it is stored. */
  stored(): Promise<StoredTask[]>;
}

const TIME_LIMIT_MS = 1_800_000;
const machines = createMachineRegistry([taskMachine]);

export function createMemoryCluster(options: MemoryClusterOptions = {}): MemoryCluster {
  const { shards = 8, buckets = 1, oneInFlight = false, seed = 1 } = options;
  const clock = createManualClock();
  const random = seededRandom(seed);
  const network = createMemoryNetwork({
    clock,
    random,
    shards,
    buckets,
    oneInFlight,
    ...(options.faults === undefined ? {} : { faults: options.faults }),
    ...(options.maxMessageBytes === undefined ? {} : { maxMessageBytes: options.maxMessageBytes }),
  });
  const names = createNames("default");
  const nodes: NodeMember[] = [];
  const agents: AgentMember[] = [];
  const writes: WriteCounts = { reads: 0, times: 0, commits: 0, records: 0, claims: 0, renewals: 0, others: 0 };
  const observer = network.connect("observer");
  let clients = 0;

  const logger = (name: string): Logger => {
    const { onLog } = options;
    if (onLog === undefined) return silentLogger;
    const line = (level: string) => (fields: object, message: string) =>
      onLog(`${clock.monotonic().toFixed(1)} ${name} ${level} ${message} ${JSON.stringify(fields)}`);
    const own: Logger = { debug: line("D"), info: line("I"), warn: line("W"), error: line("E"), child: () => own };
    return own;
  };

  const drive: MemoryCluster["drive"] = async (promise, limitMs = TIME_LIMIT_MS) => {
    let settled = false;
    const result = Promise.allSettled([promise]).finally(() => {
      settled = true;
    });
    await clock.runUntil(() => settled, limitMs);
    await result;
    return promise;
  };

  const memberOf = (name: string, process: MemoryProcess, own: ProcessClock): Member => {
    const member: Member = {
      name,
      clock: own,
      process,
      gone: false,
      kill: () => {
        member.gone = true;
        process.kill();
      },
      vanish: () => {
        member.gone = true;
        process.vanish();
      },
      pause: () => process.pause(),
      resume: () => process.resume(),
      disconnect: () => process.disconnect(),
      reconnect: () => process.reconnect(),
    };
    return member;
  };

  const cluster: MemoryCluster = {
    clock,
    random,
    network,
    names,
    nodes,
    agents,
    writes,
    onCommit: () => undefined,
    drive,
    addNode: async (name, settings = {}) => {
      const {
        clockOffsetMs = 0,
        distanceMs = 0,
        drivers = {},
        machines: known = options.machines ?? [],
        sessionTtlMs = options.sessionTtlMs ?? 6_000,
      } = settings;
      const own = clock.view(clockOffsetMs);
      const process = network.connect(name, { clock: own, logger: logger(name), distanceMs });
      const records = countRecords(process.records, writes, (batch) => cluster.onCommit(name, batch));
      const ports = {
        bus: process.bus,
        records,
        leases: countLeases(process.leases, writes),
        close: () => process.close(),
      };
      const parts: NodeParts = {
        id: name,
        namespace: "default",
        ports,
        clock: own,
        random: settings.random ?? random,
        logger: logger(name),
        sessionTtlMs,
        drivers,
        heap: settings.heap,
        machines: known,
        version: "0.0.0",
        hostName: "memory",
        pid: 1,
      };
      const member = Object.assign(memberOf(name, process, own), { node: await drive(startNode(parts)) });
      nodes.push(member);
      return member;
    },
    addNodes: async (...wanted) => {
      const added: NodeMember[] = [];
      for (const name of wanted) added.push(await cluster.addNode(name));
      await cluster.waitForOwners();
      return added;
    },
    addAgent: async (name, { distanceMs = 0, ...settings } = {}) => {
      const own = clock.view();
      const process = network.connect(name, { clock: own, logger: logger(name), distanceMs });
      const agent = createAgent({
        driver: "work",
        handler: (attempt) => attempt.payload,
        id: name,
        ...settings,
        ports: { bus: process.bus, clock: own, random, logger: logger(name) },
      } as AgentOptions);
      await drive(agent.start());
      const member = Object.assign(memberOf(name, process, own), { agent });
      agents.push(member);
      return member;
    },
    addPlainAgent: (driver, answer) => {
      const process = network.connect(`plain-${driver}-${++clients}`, { clock: clock.view() });
      process.bus.subscribe(names.plainAgent(driver), (message) => answer(message, process.bus), { queue: QUEUE });
      return process;
    },
    client: (clientOptions = {}) => {
      const { bus } = network.connect(`client-${++clients}`, { clock: clock.view() });
      return createClient({ bus, clock, random, ...clientOptions });
    },
    connect: (name) => network.connect(name, { clock: clock.view() }),
    waitForOwners: async () => {
      const waiting = nodes.filter(({ gone }) => !gone).map(({ node }) => node.ready);
      await drive(Promise.all(waiting));
      const fair = Math.floor(shards / Math.max(1, waiting.length));
      for (;;) {
        const living = new Set(nodes.filter(({ gone }) => !gone).map(({ name }) => name));
        const owners = await drive(
          Promise.all(Array.from({ length: shards }, (_, shard) => observer.records.owner(shard))),
        );
        const counts = new Map<string, number>();
        for (const { session = "" } of owners) counts.set(session, (counts.get(session) ?? 0) + 1);
        if (
          [...counts].every(([node, count]) => living.has(node) && (count === fair || count === fair + 1)) &&
          counts.size === Math.min(living.size, shards)
        )
          break;
        await clock.advance(50);
      }
      // Owned is not yet loaded.
      await clock.advance(100);
    },
    stored: async () => {
      const found: StoredTask[] = [];
      const ranges = Array.from({ length: shards }, (_, shard) => ({ shard, after: 0, ids: [] }));
      await drive(
        observer.records.load(ranges, (shard, { id, data }) => {
          if (data.length === 0) return;
          const record = decodeRecord(data, machines);
          if (record.kind === "unreadable") return;
          const task = record.state.snapshot.context as TaskContext;
          found.push({ id, shard, status: statusOf(task), live: record.state.snapshot.status === "active", task });
        }),
      );
      return found;
    },
  };
  return cluster;
}

/** Answers a dispatch as a NATS service would. */
export function answerPlain(message: Message, bus: Bus, text: string): void {
  if (message.reply !== undefined)
    bus.publish(message.reply, Buffer.from(text), { headers: { [H.contentType]: "text/plain" } });
}

function countRecords(
  records: RecordStore,
  counts: WriteCounts,
  onCommit: (writes: readonly Write[]) => void,
): RecordStore {
  return {
    ...records,
    claim: (...args) => {
      counts.claims++;
      return records.claim(...args);
    },
    time: () => {
      counts.times++;
      return records.time();
    },
    read: (...args) => {
      counts.reads++;
      return records.read(...args);
    },
    commit: (batch) => {
      counts.commits++;
      counts.records += batch.length;
      onCommit(batch);
      return records.commit(batch);
    },
  };
}

function countLeases(leases: LeaseStore, counts: WriteCounts): LeaseStore {
  return {
    ...leases,
    renew: (...args) => {
      counts.renewals++;
      return leases.renew(...args);
    },
    writeMark: (...args) => {
      counts.others++;
      return leases.writeMark(...args);
    },
    decide: (...args) => {
      counts.others++;
      return leases.decide(...args);
    },
  };
}
