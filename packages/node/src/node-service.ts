import type { NodeView } from "@ergon/core";
import type { MachineRegistry } from "@ergon/core/engine";

import type { HeapGauge } from "./heap.ts";
import type { Cluster } from "./membership/cluster.ts";
import type { Actors } from "./node-actors.ts";
import type { NodeContext } from "./node-context.ts";
import { Admissions } from "./serve/admissions.ts";
import { AgentAnswers } from "./serve/agent-answers.ts";
import { BatchAdmitter } from "./serve/batch-admitter.ts";
import { Batches } from "./serve/batches.ts";
import { Cancellations } from "./serve/cancellations.ts";
import { ClusterQueries } from "./serve/cluster-queries.ts";
import { Forwarder } from "./serve/forwarder.ts";
import { Guard } from "./serve/guard.ts";
import { InstanceEvents } from "./serve/instance-events.ts";
import { InstanceStarts } from "./serve/instance-starts.ts";
import { Intake } from "./serve/intake.ts";
import { Lists } from "./serve/lists.ts";
import { NewWork } from "./serve/new-work.ts";
import { Queries } from "./serve/queries.ts";
import { Repeats } from "./serve/repeats.ts";
import { RequestRouter } from "./serve/request-router.ts";
import { ShardMessages } from "./serve/shard-messages.ts";
import { Tells } from "./serve/tells.ts";
import { UnknownMachines } from "./serve/unknown-machines.ts";
import type { HostedShard } from "./shard/hosted-shard.ts";
import type { StoreHealth } from "./shard/store-health.ts";

export interface ServiceParts extends Actors {
  readonly cluster: Cluster;
  readonly machines: MachineRegistry;
  readonly hosted: ReadonlyMap<number, HostedShard>;
  readonly health: StoreHealth;
  readonly heap: HeapGauge;
  /** The problems of this node, as `nodes` shows them. */
  readonly troubles: () => Pick<NodeView, "store" | "unserved">;
}

/** The parts of a node that answer clients, agents and other nodes. */
export interface Service {
  readonly requests: RequestRouter;
  readonly shards: ShardMessages;
  readonly forwarder: Forwarder;
  readonly clusterQueries: ClusterQueries;
}

export function createService(context: NodeContext, parts: ServiceParts): Service {
  const { cluster, hosted, dispatcher, held } = parts;
  const forwarder = new Forwarder(context, cluster, parts.replies);
  const guard = new Guard(context, parts.replies);
  const lists = new Lists(context, parts);
  const clusterQueries = new ClusterQueries(context, { ...parts, lists, guard });
  const intake = new Intake(context, parts);
  const unknown = new UnknownMachines(context, cluster);
  const admissions = new Admissions(context, parts);
  const starts = new InstanceStarts(context, { ...parts, unknown });
  const work = new NewWork(context, { ...parts, intake, admissions, starts, forwarder });
  const admitter = new BatchAdmitter(context, admissions, held, hosted);
  const batches = new Batches(context, { ...parts, intake, admitter, agents: dispatcher.agents, forwarder });
  const shards = new ShardMessages(context, {
    ...parts,
    answers: new AgentAnswers(context, parts),
    batches,
    cancellations: new Cancellations(context, parts),
    events: new InstanceEvents(context, { ...parts, unknown }),
    forwarder,
    guard,
    intake,
    queries: new Queries(context, parts),
    repeats: new Repeats(context, parts.host, parts.machines),
    starts,
    tells: new Tells(context, { ...parts, intake, admissions, starts }),
    work,
  });
  const requests = new RequestRouter(context, {
    ...parts,
    batches,
    cluster: clusterQueries,
    forwarder,
    guard,
    intake,
    shards,
    work,
  });
  return { requests, shards, forwarder, clusterQueries };
}
