import { isTerminal, type ListReply, type ListRequest } from "@ergon/core";
import {
  JSON_TYPE,
  decodeRecord,
  delay,
  encodeBody,
  isMachineState,
  type ActorState,
  type MachineRegistry,
} from "@ergon/core/engine";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Cluster } from "../membership/cluster.ts";
import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import { embeddedReason, endOf, hasEnded, listed, startOf, statusText, summarize } from "./describe.ts";
import { Page, begun, type PageItem } from "./page.ts";
import { askNode } from "./peers.ts";

/** The number of parked tasks that one turn decodes. A list over a million takes seconds, in which the node must renew its session. */
const UNPACKED_PER_TURN = 500;
/** The node does not wait for a clock that is behind by more than this. The clocks of nodes follow the server's clock. */
const MOST_BEHIND_MS = 250;

interface NodePage {
  readonly items: readonly PageItem[];
  readonly shards: readonly number[];
}

export interface ListsParts {
  readonly cluster: Cluster;
  readonly dispatcher: Dispatcher;
  readonly machines: MachineRegistry;
  readonly hosted: ReadonlyMap<number, HostedShard>;
}

/** Lists the tasks and instances of the whole namespace. */
export class Lists {
  readonly #context: NodeContext;
  readonly #parts: ListsParts;

  constructor(context: NodeContext, parts: ListsParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Answers `list`: the tasks and instances of all nodes, in pages. */
  async list(asked: ListRequest): Promise<ListReply> {
    const request = begun(asked, this.#context.clock.now());
    const page = this.#page(request);
    const body = encodeBody(request, JSON_TYPE);
    const answered = new Set<number>();
    const pages = await Promise.all(
      this.#parts.cluster
        .liveNodes()
        .map((node) =>
          node === this.#context.node ? this.ownPage(request) : askNode<NodePage>(this.#context, node, "list", body),
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

  /** The half of a message. The rest holds the task behind the page, the missing shards and the headers. */
  #page(request: ListRequest): Page {
    return new Page(request, this.#context.ports.bus.maxMessageBytes / 2);
  }

  /** Answers with this node's part. */
  async ownPage(request: ListRequest): Promise<NodePage> {
    const page = this.#page(request);
    await this.#reach(page.begunAt);
    const isReadable = ({ phase }: HostedShard): boolean => phase === "serving" || phase === "suspended";
    const shards = [...this.#parts.hosted.values()].filter(isReadable);
    let unpacked = 0;
    for (const shard of shards) {
      for (const actor of shard.actors.values()) {
        // The write of an actor's end may still be in flight.
        const endedAt = actor.state === undefined ? undefined : endOf(actor.state);
        const live = request.all !== true || page.standsAmongLive(endedAt);
        if (!page.mayTake(live, actor.scheduledAt, actor.id)) continue;
        if (actor.parked !== undefined && ++unpacked % UNPACKED_PER_TURN === 0) await delay(this.#context.clock, 0);
        const { parked } = actor;
        // Decode a parked task without unpacking it permanently.
        const state = actor.committed ?? readable(parked, this.#parts.machines);
        // The store lists an ended actor that still has messages to deliver.
        if (state === undefined || hasEnded(state) || !page.wants(listed(state), statusText(state))) continue;
        const reason = isMachineState(state)
          ? embeddedReason(actor)
          : this.#parts.dispatcher.waitingFor(actor.state ?? state);
        const view = summarize(state, {
          ...(reason === undefined ? {} : { reason }),
          tasks: actor.embedded?.size ?? 0,
        });
        page.offer({ live, at: actor.scheduledAt, view });
      }
    }
    if (request.all === true || isTerminal(request.status ?? "")) await this.#addEnded(page, shards);
    // The next owner answers for a shard that left meanwhile.
    return { items: page.items(), shards: shards.filter(isReadable).map(({ number }) => number) };
  }

  /**
   * Waits until this node's clock, which may be a little behind, reaches `begunAt`. An actor that ends here from then on ends after the list has begun, and
   * keeps its place in it.
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
        const state = data.length === 0 ? undefined : readable(data, this.#parts.machines);
        if (state === undefined || state.snapshot.status === "active") return;
        const at = startOf(state);
        const live = page.standsAmongLive(endOf(state));
        if (page.mayTake(live, at, id) && page.wants(listed(state), statusText(state)))
          page.offer({ live, at, view: summarize(state, {}) });
      },
    );
  }
}

function readable(data: Uint8Array | undefined, machines: MachineRegistry): ActorState | undefined {
  const record = data === undefined ? undefined : decodeRecord(data, machines);
  return record?.kind === "readable" ? record.state : undefined;
}
