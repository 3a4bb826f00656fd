import { type Logger, type Machine, type Random, type Subscription, type SystemClock } from "@ergon/core";
import {
  builtInMachines,
  createMachineRegistry,
  createNames,
  delay,
  isoTime,
  type MachineRegistry,
  type Ports,
} from "@ergon/core/engine";
import type { Placement } from "@ergon/core/nats";

import type { DriverOptions } from "./dispatch/dispatcher.ts";
import { endlessHeap, type HeapGauge } from "./heap.ts";
import { Cluster, type SessionView } from "./membership/cluster.ts";
import { FailureDetector } from "./membership/failure-detector.ts";
import { ServerSpread } from "./membership/server-spread.ts";
import { ShardNeeds } from "./membership/shard-needs.ts";
import { createActors, type Actors } from "./node-actors.ts";
import type { NodeContext } from "./node-context.ts";
import { createService, type Service } from "./node-service.ts";
import { Readiness } from "./readiness.ts";
import { MicroService } from "./serve/micro-service.ts";
import { ServerTime } from "./server-time.ts";
import { liveIn, type HostedShard } from "./shard/hosted-shard.ts";
import { StoreHealth } from "./shard/store-health.ts";
import { ShardSupervisor, type ShardEvents } from "./supervisor/shard-supervisor.ts";
import { Unserved } from "./supervisor/unserved.ts";

/** A running node. */
export interface Node {
  /** The id of the node, unique for each start of the process. The node's session has the same name. */
  readonly id: string;
  /** Resolves when the node serves its share of the shards. */
  readonly ready: Promise<void>;
  /**
   * Refuses new work, stores the work in progress, gives its shards away, and says goodbye, so that others take over at once. After `drainMs` it leaves
   * without waiting any longer, which costs its shards no more than a crash does. Idempotent.
   */
  stop(options?: { readonly drainMs?: number }): Promise<void>;
}

/** The parts that a node needs. `createNode` makes them from options, and simulations make them from the memory adapters. */
export interface NodeParts {
  readonly id: string;
  readonly namespace: string;
  readonly prefix?: string | undefined;
  readonly ports: Ports;
  readonly clock: SystemClock;
  readonly random: Random;
  readonly logger: Logger;
  readonly sessionTtlMs: number;
  /** The NATS server of the connection, if there are several servers. */
  readonly placement?: Placement | undefined;
  readonly drivers: Readonly<Record<string, DriverOptions>>;
  /** The users' machines that this node knows. */
  readonly machines?: readonly Machine[];
  readonly version: string;
  readonly hostName: string;
  readonly pid: number;
  /** The gauge of the heap. @defaultValue a heap without a limit */
  readonly heap?: HeapGauge | undefined;
}

const DEFAULT_DRAIN_MS = 30_000;

/** All parts of a node, wired together. */
interface Assembly extends Actors, Service {
  readonly context: NodeContext;
  readonly cluster: Cluster;
  readonly detector: FailureDetector;
  readonly spread: ServerSpread | undefined;
  readonly supervisor: ShardSupervisor;
  readonly microService: MicroService;
  readonly health: StoreHealth;
  readonly readiness: Readiness;
}

/** Starts a node on its parts. This is the composition root, and it does nothing else. Resolves when the cluster knows the node. */
export async function startNode(parts: NodeParts): Promise<Node> {
  const { id, logger } = parts;
  const node = assemble(await createContext(parts), parts);
  const owned = listen(node);
  await join(node);
  logger.info({ node: id, namespace: parts.namespace }, "the node has joined the cluster");
  let stopping: Promise<void> | undefined;
  return {
    id,
    ready: node.readiness.ready,
    stop: (options) => (stopping ??= stop(node, owned, options?.drainMs ?? DEFAULT_DRAIN_MS)),
  };
}

async function createContext({ id, namespace, prefix, ports, clock, random, logger }: NodeParts): Promise<NodeContext> {
  const serverTime = new ServerTime({ clock, records: ports.records, logger });
  await serverTime.follow();
  return { node: id, names: createNames(namespace, prefix), ports, clock, serverTime, random, logger };
}

/** Makes the parts of a node. No part does anything yet. */
function assemble(context: NodeContext, parts: NodeParts): Assembly {
  const { ports, clock, logger } = context;
  const machines = createMachineRegistry([...builtInMachines, ...(parts.machines ?? [])]);
  const startedAt = isoTime(clock.now());
  const hosted = new Map<number, HostedShard>();
  const heap = parts.heap ?? endlessHeap;
  const health = new StoreHealth({ records: ports.records, clock, logger });
  const needs = new ShardNeeds(clock, hosted);
  const unserved = new Unserved(logger);
  const cluster = new Cluster(context, sessionOf(parts, machines, startedAt), parts.sessionTtlMs, {
    needs: () => needs.read(),
    server: () => parts.placement?.server,
  });
  const actors = createActors(context, {
    machines,
    drivers: parts.drivers,
    health,
    isAlive: (node) => cluster.isAlive(node),
    onStored: (shard) => supervisor.stored(shard),
    onDoubt: (shard) => supervisor.onDoubt(shard),
  });
  const service = createService(context, {
    ...actors,
    cluster,
    machines,
    hosted,
    health,
    heap,
    troubles: () => ({ store: health.view(), unserved: unserved.view() }),
  });
  const supervisor: ShardSupervisor = new ShardSupervisor(context, {
    health,
    heap,
    unserved,
    cluster,
    needs,
    residence: actors.host.residence,
    hosted,
    ...shardEvents(actors, service, () => readiness.check()),
  });
  const readiness = new Readiness(() => supervisor.servesItsShare);
  return {
    ...actors,
    ...service,
    context,
    cluster,
    detector: new FailureDetector(context, cluster),
    spread: spreadOf(parts, cluster),
    supervisor,
    microService: new MicroService(context, {
      version: parts.version,
      startedAt,
      metadata: () => ({ namespace: parts.namespace, shards: String(hosted.size), live: String(liveIn(hosted)) }),
    }),
    health,
    readiness,
  };
}

/** Describes this node to the other nodes. */
function sessionOf(
  { id, hostName, pid, version }: NodeParts,
  machines: MachineRegistry,
  startedAt: string,
): SessionView {
  const migratable = machines.migratable();
  const known = { machines: machines.names(), ...(migratable.length === 0 ? {} : { migratable }) };
  return { id, host: hostName, pid, version, startedAt, ...known };
}

/** Moves the connection to another NATS server when too many nodes use one server. Returns `undefined` if there is only one server. */
function spreadOf({ id, placement, clock, logger }: NodeParts, cluster: Cluster): ServerSpread | undefined {
  if (placement === undefined) return undefined;
  return new ServerSpread({ id, placement, nodes: () => cluster.sessions(), clock, logger });
}

/** Handles the messages of shards that come and go. */
function shardEvents({ held }: Actors, { shards, forwarder }: Service, onServing: () => void): ShardEvents {
  return {
    onMessage: (shard, message) => shards.receive(shard, message),
    onServing: (shard) => {
      for (const { verb, id, message } of forwarder.takeKept(shard.number)) shards.serveKept(shard, verb, id, message);
      onServing();
    },
    onLeft: (shard) => {
      held.shardLeft();
      shards.handOn(shard);
    },
  };
}

/** Subscribes to agents, nodes and the server before the cluster hears about this node. Returns the subscription to new owners of shards. */
function listen({ context, detector, observer, listeners, clusterQueries, forwarder, outbox }: Assembly): Subscription {
  const { node, ports, names, logger } = context;
  ports.bus.onStatus((status) => {
    if (status === "disconnected")
      logger.warn({ node }, "NATS is unreachable; the node continues once it has reconnected");
    else if (status === "connected") logger.info({ node }, "the node has reconnected to NATS");
  });
  detector.listen();
  observer.start();
  listeners.start();
  clusterQueries.start();
  return ports.bus.subscribe(names.ownedAll, ({ subject }) => {
    const shard = Number(subject.slice(subject.lastIndexOf(".") + 1));
    forwarder.owned(shard);
    outbox.owned(shard);
  });
}

/** Joins the cluster and begins to serve. */
async function join(node: Assembly): Promise<void> {
  const { context, cluster, supervisor, held, spread, forwarder, readiness } = node;
  await context.ports.bus.flush();
  await cluster.start({
    onChange: () => {
      supervisor.reconcile();
      held.nodesChanged();
      spread?.check();
      readiness.check();
    },
    onOwnership: (ownership) => {
      supervisor.onOwnership(ownership);
      forwarder.owned(ownership.shard);
    },
  });
  node.detector.start();
  node.microService.start();
  node.requests.start();
  supervisor.reconcile();
  readiness.joined();
}

async function stop(node: Assembly, owned: Subscription, drainMs: number): Promise<void> {
  const { context, cluster } = node;
  const { clock, ports, logger } = context;
  logger.info({ node: context.node }, "the node is stopping");
  await Promise.race([handOver(node), delay(clock, drainMs)]);
  node.forwarder.giveBack();
  node.detector.stop();
  node.spread?.stop();
  node.observer.stop();
  owned.unsubscribe();
  node.listeners.stop();
  node.host.stop();
  node.health.stop();
  context.serverTime.stop();
  await cluster.stop();
  // Without NATS nobody hears the goodbye, so the session ends when its time to live is over.
  await Promise.allSettled([ports.bus.flush()]);
  logger.info({ node: context.node }, "the node has stopped");
}

/** Finishes the work in progress, and gives the node's shards away. */
async function handOver({
  context,
  requests,
  microService,
  supervisor,
  clusterQueries,
  cluster,
  forwarder,
}: Assembly): Promise<void> {
  // The server gave these requests to this node, so the node serves them while it still has its shards.
  await Promise.all([requests.stop(), microService.stop()]);
  await supervisor.stop();
  await clusterQueries.stop();
  await cluster.leave();
  await supervisor.left();
  // Messages for the node's former shards wait here until these shards have new owners.
  if (cluster.liveNodes().some((node) => node !== context.node)) await forwarder.emptied();
}
