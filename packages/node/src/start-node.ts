import {
  builtInMachines,
  createMachineRegistry,
  createNames,
  delay,
  isoTime,
  taskMachine,
  type Logger,
  type Machine,
  type Ports,
  type Random,
  type SystemClock,
} from "@ergon/core";
import type { Placement } from "@ergon/core/nats";

import { AgentsObserver } from "./dispatch/agents-observer.ts";
import { Dispatcher, type DriverOptions } from "./dispatch/dispatcher.ts";
import { endlessHeap, type HeapGauge } from "./heap.ts";
import { InstanceBehaviour } from "./instances/instance-behaviour.ts";
import { Outbox } from "./instances/outbox.ts";
import { Cluster } from "./membership/cluster.ts";
import { FailureDetector } from "./membership/failure-detector.ts";
import { ServerSpread } from "./membership/server-spread.ts";
import { ShardNeeds } from "./membership/shard-needs.ts";
import type { NodeContext } from "./node-context.ts";
import { Admissions } from "./serve/admissions.ts";
import { AgentAnswers } from "./serve/agent-answers.ts";
import { BatchAdmitter } from "./serve/batch-admitter.ts";
import { Batches } from "./serve/batches.ts";
import { Cancellations } from "./serve/cancellations.ts";
import { ClusterQueries } from "./serve/cluster-queries.ts";
import { Forwarder } from "./serve/forwarder.ts";
import { Guard } from "./serve/guard.ts";
import { HeldBatches } from "./serve/held-batches.ts";
import { InstanceEvents } from "./serve/instance-events.ts";
import { InstanceStarts } from "./serve/instance-starts.ts";
import { Intake } from "./serve/intake.ts";
import { Listeners } from "./serve/listeners.ts";
import { Lists } from "./serve/lists.ts";
import { MicroService } from "./serve/micro-service.ts";
import { NewWork } from "./serve/new-work.ts";
import { Queries } from "./serve/queries.ts";
import { moved } from "./serve/refusals.ts";
import { Repeats } from "./serve/repeats.ts";
import { Replies } from "./serve/replies.ts";
import { RequestRouter } from "./serve/request-router.ts";
import { ShardMessages } from "./serve/shard-messages.ts";
import { Tells } from "./serve/tells.ts";
import { UnknownMachines } from "./serve/unknown-machines.ts";
import { ServerTime } from "./server-time.ts";
import { Host } from "./shard/host.ts";
import { liveIn, type HostedShard } from "./shard/hosted-shard.ts";
import { StoreHealth } from "./shard/store-health.ts";
import { ShardSupervisor } from "./supervisor/shard-supervisor.ts";

/** A running node. */
export interface Node {
  /** Unique per start of the process; also the name of its session. */
  readonly id: string;
  /** Resolves when the node serves its share of the shards. */
  readonly ready: Promise<void>;
  /**
   * Takes nothing new, stores what is under way, gives its shards away, and says goodbye: others take over at once. After `drainMs` it leaves
   * without waiting any longer, which costs its shards no more than a crash does. Idempotent.
   */
  stop(options?: { readonly drainMs?: number }): Promise<void>;
}

/** What a node is made of. `createNode` makes these from options; simulations from the memory adapters. */
export interface NodeParts {
  readonly id: string;
  readonly namespace: string;
  readonly prefix?: string | undefined;
  readonly ports: Ports;
  readonly clock: SystemClock;
  readonly random: Random;
  readonly logger: Logger;
  readonly sessionTtlMs: number;
  /** Which of several NATS servers the connection is at; absent where there is one. */
  readonly placement?: Placement | undefined;
  readonly drivers: Readonly<Record<string, DriverOptions>>;
  /** Users' machines that this node knows. */
  readonly machines?: readonly Machine[];
  readonly version: string;
  readonly host: string;
  readonly pid: number;
  /** How full the heap is. @defaultValue a heap without an end */
  readonly heap?: HeapGauge | undefined;
}

const DEFAULT_DRAIN_MS = 30_000;

/** Starts a node on its parts: the composition root, and nothing else. Resolves when the node is known to the cluster. */
export async function startNode(parts: NodeParts): Promise<Node> {
  const { id, ports, clock, random, logger } = parts;
  const serverTime = new ServerTime({ clock, records: ports.records, logger });
  await serverTime.follow();
  const context: NodeContext = {
    node: id,
    names: createNames(parts.namespace, parts.prefix),
    ports,
    clock,
    serverTime,
    random,
    logger,
  };
  const machines = createMachineRegistry([...builtInMachines, ...(parts.machines ?? [])]);
  const startedAt = isoTime(clock.now());
  const hosted = new Map<number, HostedShard>();
  const heap = parts.heap ?? endlessHeap;
  const health = new StoreHealth({ records: ports.records, clock, logger });

  const needs = new ShardNeeds(clock, hosted);
  const { host: hostName, pid, version } = parts;
  const migratable = machines.migratable();
  const known = { machines: machines.names(), ...(migratable.length === 0 ? {} : { migratable }) };
  const self = { id, host: hostName, pid, version, startedAt, ...known };
  const { placement } = parts;
  const cluster = new Cluster(context, self, parts.sessionTtlMs, {
    needs: () => needs.read(),
    server: () => placement?.server,
  });
  const spread =
    placement === undefined
      ? undefined
      : new ServerSpread({ id, placement, nodes: () => cluster.sessions(), clock, logger });
  const replies = new Replies(context, (state) => dispatcher.waitingFor(state));
  const listeners = new Listeners(context, replies);
  const host: Host = new Host({
    context,
    machines,
    behaviourOf: ({ engine }) => (engine === taskMachine.engine ? dispatcher : instanceBehaviour),
    health,
    onDoubt: (shard) => supervisor.onDoubt(shard),
    onEmbeddedEnded: (actor, key, ended) => instanceBehaviour.taskEnded(actor, key, ended),
  });
  const outbox = new Outbox(context, {
    undeliverable: (actor, tell, error) => instanceBehaviour.undeliverable(actor, tell, error),
    taken: (actor, { seq }) => host.forgetTell(actor, seq),
    spent: (actor) => host.commit(actor, () => undefined),
    empty: (actor) => host.release(actor),
    broken: (actor, error) => host.setAside(actor, error),
  });
  const dispatcher: Dispatcher = new Dispatcher(context, host, parts.drivers, {
    stored: (actor, ended) => {
      listeners.stored(actor, ended);
      supervisor.stored(actor.shard);
      if (actor.writing.stored === 1) held.stored(actor);
      if (ended) outbox.post(actor);
    },
    dropped: (actor) => {
      outbox.forget(actor);
      listeners.dropped(actor, moved(actor.shard));
    },
    lingers: (actor) => outbox.holds(actor),
    untold: (actor) => outbox.post(actor),
    held: (actor) => held.restored(actor),
  });
  const instanceBehaviour: InstanceBehaviour = new InstanceBehaviour(context, host, dispatcher, outbox, {
    stored: (actor, ended) => {
      listeners.stored(actor, ended);
      supervisor.stored(actor.shard);
    },
    dropped: (actor) => listeners.dropped(actor, moved(actor.shard)),
  });
  const observer = new AgentsObserver(context, dispatcher, host, host.patience);
  const forwarder = new Forwarder(context, cluster, replies);
  const held: HeldBatches = new HeldBatches(context, host, (node) => cluster.isAlive(node));
  const intake = new Intake(context, { host, hosted, health, heap });
  const admissions = new Admissions(context, { host, dispatcher, machines, held });
  const unknown = new UnknownMachines(context, cluster);
  const starts = new InstanceStarts(context, { host, machines, unknown, listeners });
  const work = new NewWork(context, { intake, admissions, starts, forwarder, listeners });
  const guard = new Guard(context, replies);
  const lists = new Lists(context, { cluster, dispatcher, machines, hosted });
  const clusterQueries = new ClusterQueries(context, {
    cluster,
    dispatcher,
    hosted,
    lists,
    guard,
    replies,
    troubles: () => ({ store: health.view(), unserved: supervisor.unserved.view() }),
  });
  const admitter = new BatchAdmitter(context, admissions, held, hosted);
  const batches = new Batches(context, { intake, admitter, agents: dispatcher.agents, hosted, forwarder, replies });
  const shards = new ShardMessages(context, {
    answers: new AgentAnswers(context, { host, dispatcher, listeners, replies, machines }),
    batches,
    cancellations: new Cancellations(context, { host, machines, replies }),
    events: new InstanceEvents(context, { host, machines, unknown, replies, listeners }),
    forwarder,
    guard,
    held,
    hosted,
    intake,
    queries: new Queries(context, { host, machines, replies, listeners }),
    repeats: new Repeats(context, host, machines),
    replies,
    starts,
    tells: new Tells(context, { host, machines, intake, admissions, starts, replies }),
    work,
  });
  const requests = new RequestRouter(context, {
    batches,
    cluster: clusterQueries,
    forwarder,
    guard,
    hosted,
    intake,
    machines,
    shards,
    work,
  });

  const { promise: ready, resolve: announceReady } = Promise.withResolvers<void>();
  let joined = false;
  let announced = false;
  /** A node that gets no shard, since there are more nodes than shards, is ready too. */
  const tellIfReady = (): void => {
    if (announced || !joined || !supervisor.settled) return;
    announced = true;
    announceReady();
  };
  const supervisor: ShardSupervisor = new ShardSupervisor(context, {
    health,
    heap,
    cluster,
    needs,
    residence: host.residence,
    hosted,
    onMessage: (shard, message) => shards.receive(shard, message),
    onServing: (shard) => {
      for (const { verb, id: actor, message } of forwarder.take(shard.number))
        shards.serveKept(shard, verb, actor, message);
      tellIfReady();
    },
    onLeft: (shard) => {
      held.shardLeft();
      shards.handOn(shard);
    },
  });
  const detector = new FailureDetector(context, cluster);
  const service = new MicroService(context, {
    version: parts.version,
    startedAt,
    metadata: () => ({ namespace: parts.namespace, shards: String(hosted.size), live: String(liveIn(hosted)) }),
  });

  ports.bus.onStatus((status) => {
    if (status === "disconnected")
      logger.warn({ node: id }, "NATS is unreachable; the node continues once it has reconnected");
    else if (status === "connected") logger.info({ node: id }, "the node has reconnected to NATS");
  });
  detector.listen();
  observer.start();
  listeners.start();
  clusterQueries.start();
  const owned = ports.bus.subscribe(context.names.ownedAll, ({ subject }) => {
    const shard = Number(subject.slice(subject.lastIndexOf(".") + 1));
    forwarder.owned(shard);
    outbox.owned(shard);
  });
  await ports.bus.flush();
  await cluster.start({
    onChange: () => {
      supervisor.reconcile();
      held.nodesChanged();
      spread?.check();
      tellIfReady();
    },
    onOwnership: (ownership) => {
      supervisor.onOwnership(ownership);
      forwarder.owned(ownership.shard);
    },
  });
  joined = true;
  detector.start();
  service.start();
  requests.start();
  supervisor.reconcile();
  tellIfReady();
  logger.info({ node: id, namespace: parts.namespace }, "the node has joined the cluster");

  let stopping: Promise<void> | undefined;
  const stop = async (drainMs: number): Promise<void> => {
    logger.info({ node: id }, "the node is stopping");
    const handOver = async (): Promise<void> => {
      // What the server gave to this node is served while the node has its shards still.
      await Promise.all([requests.stop(), service.stop()]);
      await supervisor.stop();
      await clusterQueries.stop();
      await cluster.leave();
      await supervisor.left();
      // Messages for its former shards wait here until these have their next owners.
      if (cluster.liveNodes().some((node) => node !== id)) await forwarder.emptied();
    };
    await Promise.race([handOver(), delay(clock, drainMs)]);
    forwarder.giveBack();
    detector.stop();
    spread?.stop();
    observer.stop();
    owned.unsubscribe();
    listeners.stop();
    host.stop();
    health.stop();
    serverTime.stop();
    await cluster.stop();
    // Without NATS nobody hears the goodbye: the session ends by its time.
    await Promise.allSettled([ports.bus.flush()]);
    logger.info({ node: id }, "the node has stopped");
  };
  return { id, ready, stop: (options) => (stopping ??= stop(options?.drainMs ?? DEFAULT_DRAIN_MS)) };
}
