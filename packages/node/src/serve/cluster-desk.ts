import {
  H,
  InvalidError,
  JSON_TYPE,
  decodeBody,
  decodeRecord,
  delay,
  encodeBody,
  isTerminal,
  isMachineState,
  clusterVerbs,
  messageOf,
  requireHeaders,
  type ActorState,
  type ListReply,
  type ListRequest,
  type MachineRegistry,
  type Message,
  type NodeView,
  type ShardView,
  type Subscription,
} from "@ergon/core";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Cluster } from "../membership/cluster.ts";
import { NO_BYTES, type NodeContext } from "../node-context.ts";
import { liveIn, type HostedShard } from "../shard/hosted-shard.ts";
import { askingOf } from "./asking.ts";
import { embeddedReason, endOf, hasEnded, listed, startOf, statusText, summarize } from "./describe.ts";
import { Page, begun, parseListRequest, type PageItem } from "./page.ts";

/** So many of the records that were set aside are named. */
const NAMED = 3;
const NODE_TIMEOUT_MS = 5_000;
/** Parked tasks looked into in one turn: of a million, a list takes seconds, in which the node has to renew its session. */
const UNPACKED_PER_TURN = 500;
/** Clocks of nodes follow the server's: one that is further behind than this is not waited for. */
const MOST_BEHIND_MS = 250;

interface NodePage {
  readonly items: readonly PageItem[];
  readonly shards: readonly number[];
}

/** Answers what concerns the whole: lists of tasks, nodes, agents and shards. */
export class ClusterDesk {
  readonly #context: NodeContext;
  readonly #cluster: Cluster;
  readonly #dispatcher: Dispatcher;
  readonly #machines: MachineRegistry;
  readonly #hosted: ReadonlyMap<number, HostedShard>;
  readonly #troubles: () => Pick<NodeView, "store" | "unserved">;
  #subscriptions: Subscription[] = [];

  constructor(
    context: NodeContext,
    cluster: Cluster,
    dispatcher: Dispatcher,
    machines: MachineRegistry,
    hosted: ReadonlyMap<number, HostedShard>,
    troubles: () => Pick<NodeView, "store" | "unserved">,
  ) {
    this.#troubles = troubles;
    this.#context = context;
    this.#cluster = cluster;
    this.#dispatcher = dispatcher;
    this.#machines = machines;
    this.#hosted = hosted;
  }

  /** Serves this node's part of the answers. */
  start(guard: (message: Message, run: (message: Message) => void | Promise<void>) => void): void {
    const { ports, names, node } = this.#context;
    this.#subscriptions = [
      ports.bus.subscribe(names.nodeVerb(node, "list"), (message) =>
        guard(message, async () =>
          this.#reply(message, await this.#ownPage(parseListRequest(decodeBody(message.data, JSON_TYPE)))),
        ),
      ),
      ports.bus.subscribe(names.nodeVerb(node, "status"), (message) =>
        guard(message, () => this.#reply(message, this.#ownStatus())),
      ),
    ];
  }

  /** Resolves when what was asked of this node is answered. */
  async stop(): Promise<void> {
    await Promise.all(this.#subscriptions.map((subscription) => subscription.drain()));
  }

  async take(verb: string, message: Message): Promise<void> {
    if (message.reply === undefined) return;
    requireHeaders(message.headers(), verb);
    switch (verb) {
      case "list":
        return this.#reply(
          message,
          await this.#list(
            parseListRequest(message.data.length === 0 ? {} : decodeBody(message.data, message.header(H.contentType))),
          ),
        );
      case "nodes":
        return this.#reply(message, { nodes: await this.#nodes() });
      case "agents":
        return this.#reply(message, {
          agents: [...this.#dispatcher.agents.all()]
            .map((entry) => this.#dispatcher.twins.viewOf(entry))
            .toSorted((a, b) => a.id.localeCompare(b.id)),
        });
      case "shards":
        return this.#reply(message, {
          namespace: this.#context.names.namespace,
          buckets: this.#context.ports.records.buckets,
          shards: this.#shards(),
        });
      default:
        throw new InvalidError(
          "INVALID_SUBJECT",
          `"${verb.slice(0, 64)}" is no question about the cluster; ask for ${clusterVerbs.join(", ")}`,
        );
    }
  }

  /** This node, as `nodes` shows it. */
  #ownStatus(): Partial<NodeView> {
    let unreadable = 0;
    const waiting: Record<string, number> = {};
    const setAside: { id: string; reason: string }[] = [];
    for (const shard of this.#hosted.values()) {
      unreadable += shard.unreadable.size;
      for (const [id, reason] of shard.unreadable) {
        if (setAside.length === NAMED) break;
        if (!shard.waiting.has(id)) setAside.push({ id, reason });
      }
      for (const machine of shard.waiting.values()) waiting[machine] = (waiting[machine] ?? 0) + 1;
    }
    const { drivers, refused } = this.#dispatcher.subjects();
    return {
      ...(Object.keys(drivers).length === 0 ? {} : { drivers }),
      ...(refused.length === 0 ? {} : { refused }),
      live: liveIn(this.#hosted),
      inFlight: this.#dispatcher.flights.out.size,
      unreadable,
      ...this.#troubles(),
      ...(setAside.length === 0 ? {} : { setAside }),
      ...(Object.keys(waiting).length === 0 ? {} : { waiting }),
    };
  }

  async #list(asked: ListRequest): Promise<ListReply> {
    const request = begun(asked, this.#context.clock.now());
    const page = this.#page(request);
    const body = encodeBody(request, JSON_TYPE);
    const answered = new Set<number>();
    const pages = await Promise.all(
      this.#cluster
        .liveNodes()
        .map((node) =>
          node === this.#context.node ? this.#ownPage(request) : this.#ask<NodePage>(node, "list", body),
        ),
    );
    for (const part of pages) {
      for (const item of part?.items ?? []) page.offer(item);
      for (const shard of part?.shards ?? []) answered.add(shard);
    }
    const missingShards = Array.from({ length: this.#context.ports.records.shards }, (_, shard) => shard).filter(
      (shard) => !answered.has(shard),
    );
    return { ...page.reply(), ...(missingShards.length === 0 ? {} : { missingShards }) };
  }

  /** Half a message: the task behind the page, the missing shards and the headers have to go with it. */
  #page(request: ListRequest): Page {
    return new Page(request, this.#context.ports.bus.maxMessageBytes / 2);
  }

  async #ownPage(request: ListRequest): Promise<NodePage> {
    const page = this.#page(request);
    await this.#reach(page.begunAt);
    const isReadable = ({ phase }: HostedShard): boolean => phase === "serving" || phase === "suspended";
    const shards = [...this.#hosted.values()].filter(isReadable);
    let unpacked = 0;
    for (const shard of shards) {
      for (const actor of shard.actors.values()) {
        // The end of one that has ended may be on its way to the store still.
        const endedAt = actor.state === undefined ? undefined : endOf(actor.state);
        const live = request.all !== true || page.standsAmongLive(endedAt);
        if (!page.mayTake(live, actor.scheduledAt, actor.id)) continue;
        if (actor.parked !== undefined && ++unpacked % UNPACKED_PER_TURN === 0) await delay(this.#context.clock, 0);
        const { parked } = actor;
        // A parked task is looked into without unpacking it for good.
        const state = actor.committed ?? readable(parked, this.#machines);
        // One that has ended and still has something to tell is found with those that are stored.
        if (state === undefined || hasEnded(state) || !page.wants(listed(state), statusText(state))) continue;
        const reason = isMachineState(state)
          ? embeddedReason(actor)
          : this.#dispatcher.waitingFor(actor.state ?? state);
        const view = summarize(state, {
          ...(reason === undefined ? {} : { reason }),
          tasks: actor.embedded?.size ?? 0,
        });
        page.offer({ live, at: actor.scheduledAt, view });
      }
    }
    if (request.all === true || isTerminal(request.status ?? "")) await this.#addEnded(page, shards);
    // A shard that left meanwhile is its next owner's to answer for.
    return { items: page.items(), shards: shards.filter(isReadable).map(({ number }) => number) };
  }

  /**
   * Waits until it is `begunAt` by this node's clock, which may be a little behind: what ends here from then on ends after the list has begun, and keeps
   * its place in it.
   */
  async #reach(begunAt: number | undefined): Promise<void> {
    const { clock } = this.#context;
    const behindMs = (begunAt ?? 0) - clock.now();
    if (behindMs >= 0) await delay(clock, Math.min(behindMs + 1, MOST_BEHIND_MS));
  }

  async #addEnded(page: Page, shards: readonly HostedShard[]): Promise<void> {
    const { records } = this.#context.ports;
    await records.load(
      shards.map(({ number }) => ({ shard: number, after: 0, ids: [] })),
      (_, { id, data }) => {
        const state = data.length === 0 ? undefined : readable(data, this.#machines);
        if (state === undefined || state.snapshot.status === "active") return;
        const at = startOf(state);
        const live = page.standsAmongLive(endOf(state));
        if (page.mayTake(live, at, id) && page.wants(listed(state), statusText(state)))
          page.offer({ live, at, view: summarize(state, {}) });
      },
    );
  }

  async #nodes(): Promise<NodeView[]> {
    const counts = this.#cluster.shardCounts();
    return Promise.all(
      this.#cluster.sessions().map(async (session) => {
        const status =
          session.id === this.#context.node
            ? this.#ownStatus()
            : await this.#ask<Partial<NodeView>>(session.id, "status", NO_BYTES);
        return { ...session, shards: counts.get(session.id) ?? 0, ...status };
      }),
    );
  }

  #shards(): ShardView[] {
    const { records } = this.#context.ports;
    const machines = this.#cluster.machinesMap();
    return this.#cluster.ownerships().map(({ shard, session, fence }) => {
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

  /** Another node's part of an answer, or `undefined` when it does not give it in time. */
  async #ask<T>(node: string, verb: string, body: Uint8Array): Promise<T | undefined> {
    const { ports, names, logger } = this.#context;
    try {
      const reply = await ports.bus.request(names.nodeVerb(node, verb), body, { timeoutMs: NODE_TIMEOUT_MS });
      return decodeBody(reply.data, reply.header(H.contentType)) as T;
    } catch (error) {
      logger.warn({ node, verb, reason: messageOf(error) }, "a node did not answer; the reply lacks its part");
      return undefined;
    }
  }

  #reply(message: Message, body: unknown): void {
    const { accept } = askingOf(message);
    if (message.reply !== undefined)
      this.#context.ports.bus.publish(message.reply, encodeBody(body, accept), {
        headers: { [H.contentType]: accept },
      });
  }
}

function readable(data: Uint8Array | undefined, machines: MachineRegistry): ActorState | undefined {
  const record = data === undefined ? undefined : decodeRecord(data, machines);
  return record?.kind === "readable" ? record.state : undefined;
}
