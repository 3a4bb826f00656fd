import {
  InvalidError,
  type AgentView,
  type ListRequest,
  type Message,
  type NodeView,
  type ShardView,
  type Subscription,
} from "@ergon/core";
import { H, JSON_TYPE, clusterVerbs, decodeBody, requireHeaders, type Asking } from "@ergon/core/engine";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Cluster } from "../membership/cluster.ts";
import { NO_BYTES, type NodeContext } from "../node-context.ts";
import { liveIn, type HostedShard } from "../shard/hosted-shard.ts";
import type { Guard } from "./guard.ts";
import type { Lists } from "./lists.ts";
import { parseListRequest } from "./page.ts";
import { askNode } from "./peers.ts";
import type { Replies } from "./replies.ts";

/** The most unreadable records that an answer names. */
const NAMED = 3;

export interface ClusterQueriesParts {
  readonly cluster: Cluster;
  readonly dispatcher: Dispatcher;
  readonly hosted: ReadonlyMap<number, HostedShard>;
  readonly lists: Lists;
  readonly guard: Guard;
  readonly replies: Replies;
  /** The problems of this node, as `nodes` shows them. */
  readonly troubles: () => Pick<NodeView, "store" | "unserved">;
}

/** Answers questions about the whole cluster: its tasks and instances, nodes, agents and shards. */
export class ClusterQueries {
  readonly #context: NodeContext;
  readonly #parts: ClusterQueriesParts;
  #subscriptions: Subscription[] = [];

  constructor(context: NodeContext, parts: ClusterQueriesParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Serves this node's part of the answers. */
  start(): void {
    const { ports, names, node } = this.#context;
    const { guard, lists, replies } = this.#parts;
    this.#subscriptions = [
      ports.bus.subscribe(names.nodeVerb(node, "list"), (message) =>
        guard.serve(message, async ({ data }, asking) =>
          replies.send(asking, await lists.ownPage(parseListRequest(decodeBody(data, JSON_TYPE)))),
        ),
      ),
      ports.bus.subscribe(names.nodeVerb(node, "status"), (message) =>
        guard.serve(message, (_, asking) => replies.send(asking, this.#ownStatus())),
      ),
    ];
  }

  /** Resolves when this node has answered its open questions. */
  async stop(): Promise<void> {
    await Promise.all(this.#subscriptions.map((subscription) => subscription.drain()));
  }

  async serve(verb: string, message: Message, asking: Asking): Promise<void> {
    if (asking.reply === undefined) return;
    requireHeaders(message.headers(), verb);
    this.#parts.replies.send(asking, await this.#answer(verb, message));
  }

  async #answer(verb: string, message: Message): Promise<unknown> {
    switch (verb) {
      case "list":
        return this.#parts.lists.list(listRequestOf(message));
      case "nodes":
        return { nodes: await this.#nodes() };
      case "agents":
        return { agents: this.#agents() };
      case "shards":
        return {
          namespace: this.#context.names.namespace,
          buckets: this.#context.ports.records.buckets,
          shards: this.#shards(),
        };
      default:
        throw new InvalidError(
          "INVALID_SUBJECT",
          `"${verb.slice(0, 64)}" is no question about the cluster; ask for ${clusterVerbs.join(", ")}`,
        );
    }
  }

  #agents(): AgentView[] {
    const { agents, twins } = this.#parts.dispatcher;
    return [...agents.all()].map((entry) => twins.viewOf(entry)).toSorted((a, b) => a.id.localeCompare(b.id));
  }

  /** Describes this node, as `nodes` shows it. */
  #ownStatus(): Partial<NodeView> {
    let unreadable = 0;
    const waiting: Record<string, number> = {};
    const unreadables: { id: string; reason: string }[] = [];
    for (const shard of this.#parts.hosted.values()) {
      unreadable += shard.unreadable.size;
      for (const [id, reason] of shard.unreadable) {
        if (unreadables.length === NAMED) break;
        if (!shard.waiting.has(id)) unreadables.push({ id, reason });
      }
      for (const machine of shard.waiting.values()) waiting[machine] = (waiting[machine] ?? 0) + 1;
    }
    const { drivers, refused } = this.#parts.dispatcher.subjects();
    return {
      ...(Object.keys(drivers).length === 0 ? {} : { drivers }),
      ...(refused.length === 0 ? {} : { refused }),
      live: liveIn(this.#parts.hosted),
      inFlight: this.#parts.dispatcher.flights.out.size,
      unreadable,
      ...this.#parts.troubles(),
      ...(unreadables.length === 0 ? {} : { setAside: unreadables }),
      ...(Object.keys(waiting).length === 0 ? {} : { waiting }),
    };
  }

  async #nodes(): Promise<NodeView[]> {
    const counts = this.#parts.cluster.shardCounts();
    return Promise.all(
      this.#parts.cluster.sessions().map(async (session) => {
        const status =
          session.id === this.#context.node
            ? this.#ownStatus()
            : await askNode<Partial<NodeView>>(this.#context, session.id, "status", NO_BYTES);
        return { ...session, shards: counts.get(session.id) ?? 0, ...status };
      }),
    );
  }

  #shards(): ShardView[] {
    const { records } = this.#context.ports;
    const machines = this.#parts.cluster.machinesMap();
    return this.#parts.cluster.ownerships().map(({ shard, session, fence }) => {
      const waitsFor = machines.missing(shard);
      return {
        shard,
        bucket: records.bucketOf(shard),
        ...(session === undefined ? {} : { node: session }),
        fence,
        ...(waitsFor.length === 0 ? {} : { waitsFor }),
      };
    });
  }
}

function listRequestOf(message: Message): ListRequest {
  return parseListRequest(message.data.length === 0 ? {} : decodeBody(message.data, message.header(H.contentType)));
}
