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
/** The pause before a node with a full heap checks again for room. */
const FULL_MS = 2_000;
const NO_ROOM_MS = 30_000;
const RECORDS_PER_LOOK = 256;
/**
 * The time for which a node listens to a shard that has left and that no node takes. A node that is slow to take the shard is also slow to hear that it is
 * free, and sends messages here until then. NATS drops a message that nobody listens to.
 */
const LEAVING_MS = 10_000;
/** The number of writes after which the node writes a shard's mark again. */
const MARK_WRITES = 2_000;

/** The parts of the node that hear about its shards. */
export interface ShardEvents {
  readonly onMessage: (shard: HostedShard, message: Message) => void;
  /** The shard serves from now on, so the node can take the messages that it kept for it. */
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

/** Takes shards to this node and gives them away. Each shard has a supervisor actor, which hears from the assignment, the store and the commit queues. */
export class ShardSupervisor {
  readonly #context: NodeContext;
  readonly #parts: ShardSupervisorParts;
  readonly #supervisors: readonly Supervisor[];
  #toLoad: HostedShard[] = [];
  #reconciling = false;
  /** The shards that have left and that the node still listens to, each with a function that ends this. */
  readonly #leaving = new Map<number, () => void>();
  /** Promises that resolve when the node has forwarded all messages for such a shard. */
  readonly #left = new Set<Promise<void>>();
  #stopping = false;
  #saidFull = false;
  /** The monotonic time until which the node takes no shard, after one did not fit. */
  #fullUntil = 0;
  #lookAgain: TimerHandle;
  #onEmpty: (() => void) | undefined;

  constructor(context: NodeContext, parts: ShardSupervisorParts) {
    this.#context = context;
    this.#parts = parts;
    this.#supervisors = Array.from({ length: context.ports.records.shards }, (_, shard) => this.#supervise(shard));
  }

  /** Compares the shards that this node hosts with those that it should host. Each change of the cluster calls this, and many changes cost one pass. */
  reconcile(): void {
    if (this.#reconciling) return;
    this.#reconciling = true;
    queueMicrotask(() => {
      this.#reconciling = false;
      this.#pass();
    });
  }

  /** The store names the owner of a shard. If the owner is another node, this node has lost the shard. */
  onOwnership({ shard, session, fence }: Ownership): void {
    const hosted = this.#parts.hosted.get(shard);
    if (session !== undefined) this.#leaving.get(shard)?.();
    if (hosted !== undefined && session !== this.#context.node && fence > hosted.fence)
      this.#tell(shard, { type: "lost" });
  }

  /** The node does not know whether a write is stored, or the server refused its fence. The node takes the shard again to find out. */
  onDoubt(shard: HomeShard): void {
    this.#tell(shard.number, { type: "doubt" });
  }

  /** The store has stored a record of the shard, and now and then the node writes the shard's mark. */
  stored(shard: HomeShard): void {
    if (shard.writesSinceMark < Math.max(MARK_WRITES, 2 * shard.actors.size)) return;
    shard.writesSinceMark = 0;
    void this.#mark(shard);
  }

  /** Tells whether this node serves every shard that the assignment gives it. */
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

  /** Resolves when no more messages arrive here for a shard that has left. */
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

  /** Leaves a shard that the node never claimed and should no longer claim. */
  #claimOrLeave(shard: number): void {
    const { cluster, hosted } = this.#parts;
    const { node } = this.#context;
    const wanted = !this.#stopping && (this.#target()[shard] === node || cluster.ownerOf(shard) === node);
    if (hosted.get(shard)?.fence === 0 && !wanted) this.#tell(shard, { type: "lost" });
    else void this.#claim(shard);
  }

  /** Computes the target owner of every shard. */
  #target(): (string | undefined)[] {
    const { cluster } = this.#parts;
    const machines = cluster.machinesMap();
    return assign(
      cluster.liveNodes(),
      cluster.ownerships().map(({ session }) => session),
      (shard) => {
        const knowing = machines.eligible(shard);
        if (knowing === undefined || knowing.size > 0) return knowing;
        // A shard that no node can serve completely stays with its owner.
        const owner = cluster.ownerOf(shard);
        return owner === undefined ? undefined : new Set([owner]);
      },
    );
  }

  /** Tells whether the node still hosts this shard object. The shard may have left, and even have come again, while a question was in flight. */
  #isHosted(shard: HostedShard): boolean {
    return this.#parts.hosted.get(shard.number) === shard;
  }

  #pass(): void {
    const { cluster, hosted } = this.#parts;
    if (this.#stopping || !cluster.alive) return;
    const { node } = this.#context;
    for (const [shard, wanted] of this.#target().entries()) {
      const owner = cluster.ownerOf(shard);
      // If only the owner key names this node, the node takes the shard like a free one, even to give it away, because no other node would take it.
      if (!hosted.has(shard) && (owner === node || (owner === undefined && wanted === node))) {
        if (!this.#isFull()) this.#begin(shard);
      } else if (wanted !== node && hosted.has(shard)) this.#tell(shard, { type: "unassigned" });
    }
  }

  #begin(shard: number): void {
    const { records, bus } = this.#context.ports;
    // Two subscriptions would deliver each message twice.
    this.#leaving.get(shard)?.();
    const hosted = new HostedShard(shard, records.bucketOf(shard));
    const { cluster } = this.#parts;
    hosted.onNeeds = () => cluster.needsChanged();
    hosted.isKnownElsewhere = (machine) => cluster.machinesMap().eligible(shard, [machine])?.size !== 0;
    this.#parts.hosted.set(shard, hosted);
    // Listen before the claim, otherwise the node would miss messages after the take-over.
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
      // A claim whose answer was lost has moved the owner key too, so this key is the node's own.
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

  /** Reads the shards together that the node claimed together. */
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

  /** Makes actors from a shard's records. Returns whether they fit into the heap. If they do not, the node runs no task of the shard, and does not die. */
  #restore(shard: HostedShard, stored: readonly StoredRecord[]): boolean {
    const { residence, heap } = this.#parts;
    for (const [index, { id, data, revision }] of stored.entries()) {
      if (index % RECORDS_PER_LOOK === 0 && heap.isFullNow()) return false;
      shard.writesSinceMark++;
      residence.restore(shard, id, data, revision);
    }
    return true;
  }

  /** Tells whether this node's heap has no room for another shard. The node logs this once, and checks again after a while. */
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

  /** Decides again about a shard that the node could not give away while it took the shard or had a write in doubt. */
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
    // If the node did not load the shard completely, it does not know which records are live.
    if (hosted.phase !== "loading") await this.#mark(hosted);
    // The node writes nothing of the shard from here on. Timers and events go to the next owner.
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
    // The node tries a failed claim again after its pause.
    if (left.fence > 0) this.reconcile();
    if (hosted.size === 0) this.#onEmpty?.();
  }

  /**
   * Keeps the messages for the shard that arrive until its next owner listens, and forwards them to that owner. Other nodes may take this node for the owner
   * until they have heard about the change.
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
