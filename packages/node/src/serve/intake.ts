import { InvalidError, UnavailableError } from "@ergon/core";
import { createIdFactory, shardOf, type Submission, type TaskSpec } from "@ergon/core/engine";

import type { HeapGauge } from "../heap.ts";
import type { NodeContext } from "../node-context.ts";
import { liveIn, type HostedShard } from "../shard/hosted-shard.ts";
import type { Backlog } from "../shard/hosting.ts";
import type { StoreHealth } from "../shard/store-health.ts";
import { bytesOf, mostForTask } from "./record-size.ts";

/** The number of writes in the queue above which the node refuses submits, so that work waits at its senders instead of in this process's memory. */
const MOST_WAITING_WRITES = 20_000;
const MOST_LIVE = 2_000_000;

export interface IntakeParts {
  readonly host: Backlog;
  readonly hosted: ReadonlyMap<number, HostedShard>;
  readonly health: StoreHealth;
  readonly heap: HeapGauge;
}

/** The destination of new work: its id and the id's shard, or `undefined` if another node serves the shard. */
export interface Destination {
  readonly id: string;
  readonly shard: HostedShard | undefined;
}

/** Decides whether this node takes new work, and chooses its destination. */
export class Intake {
  readonly #context: NodeContext;
  readonly #parts: IntakeParts;
  readonly #newId: () => string;
  #closed = false;

  constructor(context: NodeContext, parts: IntakeParts) {
    this.#context = context;
    this.#parts = parts;
    this.#newId = createIdFactory(context.random);
  }

  /** The node is stopping, and takes no new work from now on. */
  close(): void {
    this.#closed = true;
  }

  /** Throws `UnavailableError` if this node takes no new work from clients. */
  requireOpen(): void {
    if (this.#closed)
      throw new UnavailableError("NODE_STOPPING", "this node is stopping; send the request again", {
        retryAfterMs: 50,
      });
    this.requireCapacity();
  }

  /**
   * Throws `UnavailableError` (`OVERLOADED`) if this node cannot hold more work. A stopping node still takes the work that other nodes send to its
   * shards.
   */
  requireCapacity(): void {
    const { host, hosted, heap } = this.#parts;
    if (host.backlog <= MOST_WAITING_WRITES && liveIn(hosted) <= MOST_LIVE && !heap.isFull()) return;
    const text = heap.isFull()
      ? "this node's heap is full; ask again, or add nodes"
      : "this node has all the work that it can hold; ask again";
    throw new UnavailableError("OVERLOADED", text, { retryAfterMs: 200 });
  }

  /** Throws `UnavailableError` (`STORE_UNAVAILABLE`) while the shard's bucket does not answer, otherwise the request would wait as long. */
  requireStore({ bucket }: HostedShard): void {
    const trouble = this.#parts.health.of(bucket);
    if (trouble?.code !== "STORE_UNAVAILABLE") return;
    const text = `bucket ${bucket} takes no writes: ${trouble.reason}; "ergon doctor" looks at it`;
    throw new UnavailableError(trouble.code, text, { retryAfterMs: 500 });
  }

  /** Does the same for a shard by its number. The owner of another shard decides for itself. */
  requireStoreOf(number: number): void {
    const shard = this.#parts.hosted.get(number);
    if (shard !== undefined) this.requireStore(shard);
  }

  /** Throws `InvalidError` (`PAYLOAD_TOO_LARGE`) if a task of this size, payload and arguments together, does not fit into a record. */
  requireSize(bytes: number): void {
    const most = mostForTask(this.#context.ports.bus.maxMessageBytes);
    if (bytes <= most) return;
    throw new InvalidError(
      "PAYLOAD_TOO_LARGE",
      `payload: ${bytes} bytes, arguments included; at most ${most} are allowed (the server's max_payload minus the rest of the record)`,
    );
  }

  /** Makes the spec of a submission. It turns the delay into a time, and copies the payload. Throws `InvalidError` if the task is too large. */
  specOf({ spec, delayMs }: Submission): Omit<TaskSpec, "id"> {
    const { id: _, ...rest } = spec;
    this.requireSize(bytesOf(rest));
    const payload = Buffer.from(spec.payload);
    return delayMs > 0 ? { ...rest, payload, notBefore: this.#context.clock.now() + delayMs } : { ...rest, payload };
  }

  /** Finds the destination of work with an id that the client has chosen. */
  destinationOf(id: string): Destination {
    const shard = this.#parts.hosted.get(shardOf(id, this.#context.ports.records.shards));
    return { id, shard: shard?.phase === "serving" ? shard : undefined };
  }

  /** Makes a new id in a shard that this node serves, if there is one, so that the work needs no second hop. */
  newDestination(): Destination {
    const { hosted } = this.#parts;
    const { shards } = this.#context.ports.records;
    const isUsable = this.#usable();
    const most = isUsable === undefined ? 0 : 64 * shards;
    for (let tries = 0; tries < most; tries++) {
      const id = this.#newId();
      const shard = hosted.get(shardOf(id, shards));
      if (shard !== undefined && isUsable?.(shard) === true) return { id, shard };
    }
    return { id: this.#newId(), shard: undefined };
  }

  /**
   * Lists the shards that may take new work. If a bucket takes writes, these are the shards of such buckets, otherwise all serving shards. Returns
   * `undefined` if no shard serves.
   */
  #usable(): ((shard: HostedShard) => boolean) | undefined {
    const { hosted, health } = this.#parts;
    const serves = ({ phase }: HostedShard): boolean => phase === "serving";
    const takesWrites = (shard: HostedShard): boolean => serves(shard) && health.of(shard.bucket) === undefined;
    for (const shard of hosted.values()) if (takesWrites(shard)) return takesWrites;
    for (const shard of hosted.values()) if (serves(shard)) return serves;
    return undefined;
  }
}
