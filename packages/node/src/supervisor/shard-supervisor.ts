import { isErgonError, messageOf, type Message, type TimerHandle } from "@ergon/core";
import { type LoadRange, type Ownership, type StoredRecord } from "@ergon/core/engine";

import type { HeapGauge } from "../heap.ts";
import { assign } from "../membership/assignment.ts";
import type { Cluster } from "../membership/cluster.ts";
import type { ShardNeeds } from "../membership/shard-needs.ts";
import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { HomeShard } from "../shard/actor.ts";
import { HostedShard } from "../shard/hosted-shard.ts";
import type { Residence } from "../shard/hosting.ts";
import { isOfStore, type StoreHealth } from "../shard/store-health.ts";
import { decodeMark, encodeMark } from "./mark.ts";
import { createSupervisor, type Supervisor, type SupervisorEvent } from "./supervisor.machine.ts";
import type { Unserved } from "./unserved.ts";

const RETRY_MS = 250;
/** How long a node with a full heap waits until it looks for room again. */
const FULL_MS = 2_000;
const NO_ROOM_MS = 30_000;
const RECORDS_PER_LOOK = 256;
/**
 * How long a node listens to a shard that has left when no node takes it. A node that is slow to take it is slow to hear that it is free, too, and
 * sends messages here until then; NATS drops a message that nobody listens to.
 */
const LEAVING_MS = 10_000;
/** Writes after which a shard's mark is written anew. */
const MARK_WRITES = 2_000;

/** The parts of the node that hear of its shards. */
export interface ShardEvents {
  readonly onMessage: (shard: HostedShard, message: Message) => void;
  /** The shard is served from now on: what was kept for it can be taken. */
  readonly onServing: (shard: HostedShard) => void;
  readonly onLeft: (shard: HostedShard) => void;
}

export interface ShardSupervisorParts extends ShardEvents {
  readonly cluster: Cluster;
  readonly needs: ShardNeeds;
  readonly residence: Residence;
  readonly hosted: Map<number, HostedShard>;
  readonly health: StoreHealth;
  readonly heap: HeapGauge;
  readonly unserved: Unserved;
}

/** Brings shards to this node and away from it: one supervisor actor a shard, told by the assignment, the store and the commit queues. */
export class ShardSupervisor {
  readonly #context: NodeContext;
  readonly #parts: ShardSupervisorParts;
  readonly #supervisors: readonly Supervisor[];
  #toLoad: HostedShard[] = [];
  #reconciling = false;
  /** Shards that have left, and are still listened to; each with what ends that. */
  readonly #leaving = new Map<number, () => void>();
  /** Resolved, for each of them, when everything that came for it is handed on. */
  readonly #left = new Set<Promise<void>>();
  #stopping = false;
  #saidFull = false;
  /** Monotonic time until which no shard is tried again, after one did not fit. */
  #fullUntil = 0;
  #lookAgain: TimerHandle;
  #onEmpty: (() => void) | undefined;

  constructor(context: NodeContext, parts: ShardSupervisorParts) {
    this.#context = context;
    this.#parts = parts;
    this.#supervisors = Array.from({ length: context.ports.records.shards }, (_, shard) => this.#supervise(shard));
  }

  /** Compares what this node hosts with what it should host. Called at every change of the cluster; many changes cost one pass. */
  reconcile(): void {
    if (this.#reconciling) return;
    this.#reconciling = true;
    queueMicrotask(() => {
      this.#reconciling = false;
      this.#pass();
    });
  }

  /** The store says who owns a shard: if it is not this node, the shard is lost. */
  onOwnership({ shard, session, fence }: Ownership): void {
    const hosted = this.#parts.hosted.get(shard);
    if (session !== undefined) this.#leaving.get(shard)?.();
    if (hosted !== undefined && session !== this.#context.node && fence > hosted.fence)
      this.#tell(shard, { type: "lost" });
  }

  /** Whether a write is stored, or whose fence the server refused, is not known: taking the shard again tells. */
  onDoubt(shard: HomeShard): void {
    this.#tell(shard.number, { type: "doubt" });
  }

  /** A record of the shard was stored: now and then its mark is written. */
  stored(shard: HomeShard): void {
    if (shard.writesSinceMark < Math.max(MARK_WRITES, 2 * shard.actors.size)) return;
    shard.writesSinceMark = 0;
    void this.#mark(shard);
  }

  /** Whether everything that the assignment gives this node is served here. */
  get servesItsShare(): boolean {
    const { cluster, hosted } = this.#parts;
    const { node } = this.#context;
    if (!cluster.alive) return false;
    return this.#target().every((wanted, shard) => wanted !== node || hosted.get(shard)?.phase === "serving");
  }

  /** Gives every shard away. Resolves when none is left. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#context.clock.cancel(this.#lookAgain);
    if (this.#parts.hosted.size > 0)
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
        for (const shard of this.#parts.hosted.keys()) this.#tell(shard, { type: "unassigned" });
      });
  }

  /** Resolves when no message comes here any more for a shard that has left. */
  async left(): Promise<void> {
    await Promise.all(this.#left);
  }

  #supervise(shard: number): Supervisor {
    return createSupervisor({
      claim: () => void this.#claim(shard),
      load: () => this.#load(shard),
      serve: () => this.#serve(shard),
      suspend: () => this.#suspend(shard),
      resume: () => this.#resume(shard),
      drain: () => this.#drain(shard),
      release: () => void this.#release(shard),
      drop: () => this.#drop(shard),
      claimAgain: () => this.#later(shard, () => this.#claimOrLeave(shard)),
      loadAgain: () => this.#later(shard, () => this.#load(shard)),
    });
  }

  #tell(shard: number, event: SupervisorEvent): void {
    this.#supervisors[shard]?.send(event);
  }

  /** Tries again after a pause, unless the shard has left meanwhile. */
  #later(shard: number, run: () => void): void {
    const hosted = this.#parts.hosted.get(shard);
    this.#context.clock.after(RETRY_MS, () => {
      if (hosted !== undefined && this.#isHosted(hosted)) run();
    });
  }

  /** A shard that was never claimed, and should not be any more, is left. */
  #claimOrLeave(shard: number): void {
    const { cluster, hosted } = this.#parts;
    const { node } = this.#context;
    const wanted = !this.#stopping && (this.#target()[shard] === node || cluster.ownerOf(shard) === node);
    if (hosted.get(shard)?.fence === 0 && !wanted) this.#tell(shard, { type: "lost" });
    else void this.#claim(shard);
  }

  /** The owner that every shard should have. */
  #target(): (string | undefined)[] {
    const { cluster } = this.#parts;
    const machines = cluster.machinesMap();
    return assign(
      cluster.liveNodes(),
      cluster.ownerships().map(({ session }) => session),
      (shard) => {
        const knowing = machines.eligible(shard);
        if (knowing === undefined || knowing.size > 0) return knowing;
        // A shard that no node can serve whole stays with its owner.
        const owner = cluster.ownerOf(shard);
        return owner === undefined ? undefined : new Set([owner]);
      },
    );
  }

  /** Whether this is the shard that is hosted: it may have left, and even come again, while a question was under way. */
  #isHosted(shard: HostedShard): boolean {
    return this.#parts.hosted.get(shard.number) === shard;
  }

  #pass(): void {
    const { cluster, hosted } = this.#parts;
    if (this.#stopping || !cluster.alive) return;
    const { node } = this.#context;
    for (const [shard, wanted] of this.#target().entries()) {
      const owner = cluster.ownerOf(shard);
      // A shard that is this node's by name only is taken like a free one, also to be given away: nobody else would take it.
      if (!hosted.has(shard) && (owner === node || (owner === undefined && wanted === node))) {
        if (!this.#isFull()) this.#begin(shard);
      } else if (wanted !== node && hosted.has(shard)) this.#tell(shard, { type: "unassigned" });
    }
  }

  #begin(shard: number): void {
    const { records, bus } = this.#context.ports;
    // Two subscriptions would bring each message twice.
    this.#leaving.get(shard)?.();
    const hosted = new HostedShard(shard, records.bucketOf(shard));
    const { cluster } = this.#parts;
    hosted.onNeeds = () => cluster.needsChanged();
    hosted.isKnownElsewhere = (machine) => cluster.machinesMap().eligible(shard, [machine])?.size !== 0;
    this.#parts.hosted.set(shard, hosted);
    // Listening before the claim: from the moment of the take-over no message goes by.
    hosted.subscription = bus.subscribe(this.#context.names.shardAll(shard), (message) =>
      this.#parts.onMessage(hosted, message),
    );
    this.#tell(shard, { type: "assigned" });
  }

  async #claim(shard: number): Promise<void> {
    const { records } = this.#context.ports;
    const hosted = this.#parts.hosted.get(shard);
    if (hosted === undefined) return;
    try {
      const expected = hosted.fence === 0 ? this.#parts.cluster.ownership(shard).fence : hosted.fence;
      const result = await records.claim(shard, this.#context.node, expected);
      if (!this.#isHosted(hosted)) return;
      if (result.kind === "claimed") {
        hosted.fence = result.fence;
        this.#parts.health.stored(hosted.bucket);
        this.#parts.cluster.learn({ shard, session: this.#context.node, fence: result.fence });
        return this.#tell(shard, { type: "claimed" });
      }
      // A claim whose answer was lost has moved the owner key too: ours is ours.
      const owner = await records.owner(shard);
      if (!this.#isHosted(hosted)) return;
      if (owner.session === this.#context.node && owner.fence > expected) {
        hosted.fence = owner.fence;
        return this.#tell(shard, { type: "claimed" });
      }
      this.#parts.cluster.learn(owner);
      this.#tell(shard, { type: "lost" });
    } catch (error) {
      if (isErgonError(error) && isOfStore(error.code))
        this.#parts.health.failed(hosted.bucket, error.code, error.message);
      if (!this.#isHosted(hosted)) return;
      this.#parts.unserved.failed([shard], `it cannot be claimed: ${messageOf(error)}`);
      this.#tell(shard, { type: "failed" });
    }
  }

  /** Shards that are claimed together are read together. */
  #load(shard: number): void {
    const hosted = this.#parts.hosted.get(shard);
    if (hosted === undefined) return;
    this.#toLoad.push(hosted);
    if (this.#toLoad.length === 1) queueMicrotask(() => void this.#loadAll());
  }

  async #loadAll(): Promise<void> {
    const shards = this.#toLoad;
    this.#toLoad = [];
    const { records, leases } = this.#context.ports;
    try {
      const ranges = await Promise.all(
        shards.map(async ({ number }): Promise<LoadRange> => ({
          shard: number,
          ...decodeMark(await leases.readMark(number)),
        })),
      );
      const found = new Map<number, StoredRecord[]>(shards.map(({ number }) => [number, []]));
      await records.load(ranges, (number, record) => void found.get(number)?.push(record));
      for (const shard of shards) {
        if (!this.#isHosted(shard)) continue;
        const fits = this.#restore(shard, found.get(shard.number) ?? []);
        found.delete(shard.number);
        if (!fits) {
          this.#parts.residence.clear(shard);
          this.#fullUntil = this.#context.clock.monotonic() + NO_ROOM_MS;
          this.#tell(shard.number, { type: "noRoom" });
          continue;
        }
        this.#tell(shard.number, { type: "loaded" });
        // Write the mark after a long loading, otherwise the next owner reads as much again.
        this.stored(shard);
      }
    } catch (error) {
      const failed = shards.filter((shard) => this.#isHosted(shard));
      if (failed.length > 0)
        this.#parts.unserved.failed(
          failed.map(({ number }) => number),
          `its records cannot be read: ${messageOf(error)}`,
        );
      for (const shard of failed) {
        this.#parts.residence.clear(shard);
        this.#tell(shard.number, { type: "failed" });
      }
    }
  }

  /** Makes actors of a shard's records. Answers whether they fit into the heap: of those that do not, no task runs here, and no node dies. */
  #restore(shard: HostedShard, stored: readonly StoredRecord[]): boolean {
    const { residence, heap } = this.#parts;
    for (const [index, { id, data, revision }] of stored.entries()) {
      if (index % RECORDS_PER_LOOK === 0 && heap.isFullNow()) return false;
      shard.writesSinceMark++;
      residence.restore(shard, id, data, revision);
    }
    return true;
  }

  /** Whether this node's heap has no room for another shard. It is said once, and looked at again after a while. */
  #isFull(): boolean {
    const isFull = this.#parts.heap.isFull() || this.#context.clock.monotonic() < this.#fullUntil;
    if (isFull && !this.#saidFull)
      this.#context.logger.error({}, "the heap is full: this node takes no further shards until it has room");
    if (!isFull && this.#saidFull) this.#context.logger.info({}, "the heap has room: this node takes shards again");
    this.#saidFull = isFull;
    if (isFull && this.#lookAgain === undefined && !this.#stopping)
      this.#lookAgain = this.#context.clock.after(FULL_MS, () => {
        this.#lookAgain = undefined;
        this.reconcile();
      });
    return isFull;
  }

  #serve(shard: number): void {
    const hosted = this.#parts.hosted.get(shard);
    if (hosted === undefined) return;
    hosted.phase = "serving";
    this.#parts.unserved.over(shard);
    this.#parts.residence.revive(hosted);
    this.#flush(hosted);
    this.#context.ports.bus.publish(this.#context.names.owned(shard), NO_BYTES);
    this.#parts.onServing(hosted);
    this.#reconsider(shard);
  }

  #resume(shard: number): void {
    const hosted = this.#parts.hosted.get(shard);
    if (hosted === undefined) return;
    hosted.phase = "serving";
    this.#parts.unserved.over(shard);
    this.#parts.residence.resume();
    this.#flush(hosted);
    this.#parts.onServing(hosted);
    this.#reconsider(shard);
  }

  /** While a shard was taken or in doubt it could not be given away, whatever was said. */
  #reconsider(shard: number): void {
    if (this.#stopping) this.#tell(shard, { type: "unassigned" });
    else this.reconcile();
  }

  #flush(hosted: HostedShard): void {
    const { buffer } = hosted;
    hosted.buffer = [];
    for (const message of buffer) this.#parts.onMessage(hosted, message);
  }

  #suspend(shard: number): void {
    const hosted = this.#parts.hosted.get(shard);
    if (hosted !== undefined) hosted.phase = "suspended";
  }

  #drain(shard: number): void {
    const hosted = this.#parts.hosted.get(shard);
    if (hosted === undefined) return;
    hosted.phase = "draining";
    const idle = (): void => {
      hosted.onIdle = undefined;
      this.#tell(shard, { type: "idle" });
    };
    if (hosted.writes === 0) queueMicrotask(idle);
    else hosted.onIdle = idle;
  }

  async #release(shard: number): Promise<void> {
    const hosted = this.#parts.hosted.get(shard);
    if (hosted === undefined) return;
    const { fence } = hosted;
    // A shard that was not loaded to its end does not show which records are live.
    if (hosted.phase !== "loading") await this.#mark(hosted);
    // Nothing of it is written from here on; timers and events go to the next owner.
    this.#parts.residence.drop(hosted);
    try {
      const result = await this.#context.ports.records.claim(shard, undefined, fence);
      if (result.kind === "claimed") this.#parts.cluster.learn({ shard, session: undefined, fence: result.fence });
      this.#tell(shard, { type: "released" });
    } catch (error) {
      this.#context.logger.warn(
        { shard, reason: messageOf(error) },
        "a shard could not be released; its next owner takes it",
      );
      this.#tell(shard, { type: "failed" });
    }
  }

  #drop(shard: number): void {
    const { hosted, residence } = this.#parts;
    const left = hosted.get(shard);
    if (left === undefined) return;
    hosted.delete(shard);
    this.#parts.unserved.over(shard);
    this.#parts.needs.keep(left);
    residence.drop(left);
    this.#leave(left);
    // A claim that failed is tried again after its pause.
    if (left.fence > 0) this.reconcile();
    if (hosted.size === 0) this.#onEmpty?.();
  }

  /**
   * Messages for the shard that come until its next owner listens are kept, and sent on to that owner: other nodes may take this one for the owner as long as they
   * have not heard of the change.
   */
  #leave(shard: HostedShard): void {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      if (this.#leaving.get(shard.number) !== end) return;
      this.#leaving.delete(shard.number);
      this.#context.clock.cancel(timer);
      void (shard.subscription?.drain() ?? Promise.resolve()).then(() => {
        this.#parts.onLeft(shard);
        this.#left.delete(left);
        resolve();
      });
    };
    const timer = this.#context.clock.after(LEAVING_MS, end);
    this.#leaving.set(shard.number, end);
    this.#left.add(left);
    const { cluster } = this.#parts;
    const owner = cluster.ownerOf(shard.number);
    const isTaken = owner !== undefined && owner !== this.#context.node;
    if (isTaken || !cluster.liveNodes().some((node) => node !== this.#context.node)) end();
  }

  async #mark(shard: HomeShard): Promise<void> {
    // A record that this node cannot read may be live for the next owner.
    const ids = [...shard.actors.keys(), ...shard.unreadable.keys()];
    const data = encodeMark({ after: shard.revision, ids });
    if (data === undefined) return;
    try {
      await this.#context.ports.leases.writeMark(shard.number, data);
    } catch (error) {
      this.#context.logger.warn(
        { shard: shard.number, reason: messageOf(error) },
        "a shard's mark could not be written; its next owner reads more records",
      );
    }
  }
}
