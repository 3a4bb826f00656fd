import { InvalidError, messageOf, type NodeView } from "@ergon/core";
import { JSON_TYPE, decodeBody, encodeBody, type Ownership, type Session, type Watch } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import { MachinesMap, type Needs } from "./machines-map.ts";

/** The pause before the node reports a change, because more changes may come at once. */
const TELL_MS = 50;

/** The part of a session that describes its node. */
export type SessionView = Pick<
  NodeView,
  "id" | "host" | "pid" | "version" | "startedAt" | "machines" | "migratable" | "server"
>;

interface Member extends SessionView {
  readonly needs: Needs;
  /** The value of its session, which shows a change. */
  readonly data: Uint8Array;
  /** The monotonic time at which this node saw it first. */
  readonly seenAt: number;
}

/** The part of a session that may differ with each renewal. */
export interface Tells {
  /** The machines that the node's shards need. */
  readonly needs: () => Needs;
  /** The NATS server that the node is connected to. */
  readonly server: () => string | undefined;
}

export interface ClusterEvents {
  /** Sessions or owners changed. */
  onChange(): void;
  /** A shard has another owner, or none. */
  onOwnership(ownership: Ownership): void;
}

/** This node's view of the cluster: the living nodes, and the owners of shards. It also keeps this node's own session alive. */
export class Cluster {
  readonly #context: NodeContext;
  readonly #self: SessionView;
  readonly #ttlMs: number;
  readonly #tells: Tells;
  readonly #members = new Map<string, Member>();
  readonly #owners: Ownership[];
  readonly #watches: Watch[] = [];
  #events: ClusterEvents | undefined;
  #machinesMap: MachinesMap | undefined;
  #timer: unknown;
  #telling = false;
  #stopped = false;

  constructor(context: NodeContext, self: SessionView, ttlMs: number, tells: Tells) {
    this.#context = context;
    this.#self = self;
    this.#ttlMs = ttlMs;
    this.#tells = tells;
    this.#owners = Array.from({ length: context.ports.records.shards }, (_, shard) => ({
      shard,
      session: undefined,
      fence: 0,
    }));
  }

  /** Opens the session and learns the present state of the cluster. */
  async start(events: ClusterEvents): Promise<void> {
    this.#events = events;
    const { leases, records } = this.#context.ports;
    await this.#renew();
    this.#watches.push(await leases.watch((session) => this.#onSession(session)));
    this.#watches.push(await records.watchOwners((ownership) => this.learn(ownership)));
    this.#renewLater();
    // Renew at once: an outage has left little of the session's time.
    this.#context.ports.bus.onStatus((status) => {
      if (status === "connected" && !this.#stopped) void this.#tryToRenew();
    });
  }

  /** Says goodbye. Others take over at once, and this node still hears about it. */
  async leave(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#context.clock.cancel(this.#timer);
    try {
      await this.#context.ports.leases.end(this.#context.node);
    } catch (error) {
      this.#context.logger.warn(
        { reason: messageOf(error) },
        "the node's session could not be deleted; it expires by itself",
      );
    }
  }

  async stop(): Promise<void> {
    await this.leave();
    for (const watch of this.#watches) watch.stop();
  }

  /** Returns the owner of the shard, if the node knows it and it lives. */
  ownerOf(shard: number): string | undefined {
    const session = this.#owners[shard]?.session;
    return session !== undefined && this.#members.has(session) ? session : undefined;
  }

  ownership(shard: number): Ownership {
    return this.#owners[shard] ?? { shard, session: undefined, fence: 0 };
  }

  ownerships(): readonly Ownership[] {
    return this.#owners;
  }

  /** Takes a change from the store, by a watch or as an answer. */
  learn(ownership: Ownership): void {
    // Ignore an owner key without a shard.
    if (this.#owners[ownership.shard] === undefined || ownership.fence <= this.ownership(ownership.shard).fence) return;
    this.#owners[ownership.shard] = ownership;
    this.#events?.onOwnership(ownership);
    this.#events?.onChange();
  }

  liveNodes(): string[] {
    return [...this.#members.keys()].toSorted();
  }

  sessions(): SessionView[] {
    return [...this.#members.values()]
      .map(({ seenAt: _, needs: __, data: ___, ...view }) => view)
      .toSorted((a, b) => a.id.localeCompare(b.id));
  }

  shardCounts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const { session } of this.#owners)
      if (session !== undefined) counts.set(session, (counts.get(session) ?? 0) + 1);
    return counts;
  }

  /** The machines that the living nodes know, and the machines that their shards need. */
  machinesMap(): MachinesMap {
    return (this.#machinesMap ??= new MachinesMap([...this.#members.values()]));
  }

  /** The needs of this node's shards have changed, and the other nodes must hear so soon. Many changes cost one write. */
  needsChanged(): void {
    if (this.#telling || this.#stopped) return;
    this.#telling = true;
    this.#context.clock.after(TELL_MS, () => {
      this.#telling = false;
      if (!this.#stopped) void this.#tryToRenew();
    });
  }

  /** Tells whether the store counts this node among the living. */
  get alive(): boolean {
    return this.isAlive(this.#context.node);
  }

  /** Tells whether a node has a session. */
  isAlive(node: string): boolean {
    return this.#members.has(node);
  }

  /** Returns the time for which this node has known another node. */
  knownFor(node: string): number {
    const seenAt = this.#members.get(node)?.seenAt;
    return seenAt === undefined ? 0 : this.#context.clock.monotonic() - seenAt;
  }

  /** Returns the next living node in the ring of ids, which this node watches. */
  successor(): string | undefined {
    const nodes = this.liveNodes();
    const next = nodes[(nodes.indexOf(this.#context.node) + 1) % nodes.length];
    return next === this.#context.node ? undefined : next;
  }

  /** A witness has found the node dead. Every node hears about it through the store. */
  async declareDead(node: string): Promise<void> {
    this.#context.logger.warn({ dead: node }, "a node is gone; the other nodes take over its shards");
    await this.#context.ports.leases.end(node);
  }

  async #renew(): Promise<void> {
    const needs = this.#tells.needs();
    const server = this.#tells.server();
    const session = {
      ...this.#self,
      ...(server === undefined ? {} : { server }),
      ...(Object.keys(needs).length === 0 ? {} : { needs }),
    };
    await this.#context.ports.leases.renew(this.#context.node, encodeBody(session, JSON_TYPE), this.#ttlMs);
  }

  async #tryToRenew(): Promise<void> {
    try {
      await this.#renew();
    } catch (error) {
      this.#context.logger.warn(
        { reason: messageOf(error) },
        "the node's session could not be renewed; the node tries again",
      );
    }
  }

  #renewLater(): void {
    this.#timer = this.#context.clock.after(this.#ttlMs / 3, () => {
      if (this.#stopped) return;
      void this.#tryToRenew();
      this.#renewLater();
    });
  }

  #onSession({ id, data }: Session): void {
    if (data === undefined) {
      if (!this.#members.delete(id)) return;
      this.#machinesMap = undefined;
      // Another node judged this node dead while it was paused or cut off. This node lives again after its next renewal, and gets shards then.
      if (id === this.#context.node && !this.#stopped) {
        this.#context.logger.warn({}, "this node's session has expired; the node opens a new one");
        void this.#tryToRenew();
      }
    } else {
      const known = this.#members.get(id);
      if (known !== undefined && Buffer.compare(known.data, data) === 0) return;
      const seenAt = known?.seenAt ?? this.#context.clock.monotonic();
      this.#members.set(id, { ...this.#read(id, data), data, seenAt });
      this.#machinesMap = undefined;
    }
    this.#events?.onChange();
  }

  /** Reads a session. An unreadable session counts as a living node, perhaps of another version. If there is no such node, its witness finds that out. */
  #read(id: string, data: Uint8Array): SessionView & { readonly needs: Needs } {
    try {
      return parseSession(id, data);
    } catch (error) {
      this.#context.logger.warn(
        { session: id, reason: messageOf(error) },
        "a session cannot be read; it counts as a running node's",
      );
      return { id, host: "", pid: 0, version: "", startedAt: "", machines: [], needs: {} };
    }
  }
}

/** Throws if the value is not a JSON map. */
function parseSession(id: string, data: Uint8Array): SessionView & { readonly needs: Needs } {
  const view = decodeBody(data, JSON_TYPE);
  if (typeof view !== "object" || view === null) throw new InvalidError("INVALID_BODY", "its value is not a map");
  const { host, pid, version, startedAt, machines, migratable, server, needs } = view as Partial<
    SessionView & { needs: Needs }
  >;
  return {
    id,
    host: host ?? "",
    pid: pid ?? 0,
    version: version ?? "",
    startedAt: startedAt ?? "",
    machines: machines ?? [],
    ...(migratable === undefined ? {} : { migratable }),
    ...(typeof server === "string" ? { server } : {}),
    needs: needs ?? {},
  };
}
