import type { TimerHandle } from "../base/clock.ts";
import { isErgonError, isUnreachable, messageOf } from "../base/errors.ts";
import type {
  ClaimResult,
  CommitResult,
  Fence,
  LoadRange,
  Ownership,
  RecordStore,
  StoredRecord,
  Write,
} from "../ports/store.ts";
import type { Broker } from "./broker.ts";
import { Feed } from "./feed.ts";
import type { Link } from "./link.ts";

const MAX_WRITES = 1_000;
const PROBE: Write = { shard: 0, id: "scratch", data: Buffer.from("x"), fence: 0 };
/** The rough size of subject and headers in a message. */
const ENVELOPE_BYTES = 512;

interface Kept extends StoredRecord {
  readonly expiry: TimerHandle;
}

export interface RecordShape {
  readonly shards: number;
  readonly buckets: number;
  readonly oneInFlight: boolean;
}

/** The record buckets, at the broker. */
export class RecordState {
  readonly shape: RecordShape;
  readonly owners: Feed<Ownership> = new Feed();
  readonly #broker: Broker;
  readonly #records: readonly Map<string, Kept>[];
  /** The last revision of each bucket. */
  readonly #revisions: number[];

  constructor(broker: Broker, shape: RecordShape) {
    this.shape = shape;
    this.#broker = broker;
    this.#records = Array.from({ length: shape.shards }, () => new Map<string, Kept>());
    this.#revisions = Array.from({ length: shape.buckets }, () => 0);
  }

  owner(shard: number): Ownership {
    return this.owners.values.get(String(shard)) ?? { shard, session: undefined, fence: 0 };
  }

  claim(shard: number, session: string | undefined, expected: Fence): ClaimResult {
    if (this.owner(shard).fence !== expected) return { kind: "lost" };
    const fence = this.#nextRevision(shard);
    this.owners.set(String(shard), { shard, session, fence });
    return { kind: "claimed", fence };
  }

  commit(writes: readonly Write[]): CommitResult {
    if (writes.some((write) => this.owner(write.shard).fence !== write.fence)) return { kind: "fenced" };
    const refusal = this.#refusal(writes);
    if (refusal !== undefined) return refusal;
    let revision = 0;
    for (const write of writes) revision = this.#store(write);
    return { kind: "committed", revision };
  }

  /** True if the bucket takes a small write. */
  probe(): CommitResult {
    return this.#refusal([PROBE]) ?? { kind: "committed", revision: 0 };
  }

  read(shard: number, id: string): StoredRecord | undefined {
    return this.#shard(shard).get(id);
  }

  /** Returns the records of the ranges in order of revision, and the last revision of the bucket (the smallest if there are several). */
  load(ranges: readonly LoadRange[]): {
    readonly found: readonly (readonly [number, StoredRecord])[];
    readonly covered: number;
  } {
    const found: [number, StoredRecord][] = [];
    for (const { shard, after, ids } of ranges) {
      const wanted = new Set(ids);
      for (const record of this.#shard(shard).values()) {
        if (record.revision > after || wanted.has(record.id)) found.push([shard, record]);
      }
    }
    found.sort(([, a], [, b]) => a.revision - b.revision);
    const revisions = ranges.map((range) => this.#revisions[range.shard % this.shape.buckets] ?? 0);
    return { found, covered: revisions.length === 0 ? 0 : Math.min(...revisions) };
  }

  #refusal(writes: readonly Write[]): CommitResult | undefined {
    const largest = this.#broker.maxMessageBytes - ENVELOPE_BYTES;
    const tooLarge = writes.find((write) => write.data.length > largest);
    if (tooLarge !== undefined) {
      const message = `record ${tooLarge.id} has ${tooLarge.data.length} bytes, the server takes ${largest}`;
      return { kind: "refused", code: "PAYLOAD_TOO_LARGE", message };
    }
    if (this.#broker.storage === "ok" || writes.every((write) => write.data.length === 0)) return undefined;
    return this.#broker.storage === "full"
      ? { kind: "refused", code: "STORE_FULL", message: "the server's storage is full" }
      : { kind: "refused", code: "STORE_UNAVAILABLE", message: "the bucket has no leader" };
  }

  #store(write: Write): number {
    const records = this.#shard(write.shard);
    const revision = this.#nextRevision(write.shard);
    this.#broker.clock.cancel(records.get(write.id)?.expiry);
    if (write.data.length === 0) {
      records.delete(write.id);
      return revision;
    }
    const expiry =
      write.ttlMs === undefined ? undefined : this.#broker.clock.after(write.ttlMs, () => records.delete(write.id));
    records.set(write.id, { id: write.id, data: write.data, revision, expiry });
    return revision;
  }

  #shard(shard: number): Map<string, Kept> {
    const records = this.#records[shard];
    if (records === undefined) throw new RangeError(`there is no shard ${shard} of ${this.shape.shards}`);
    return records;
  }

  #nextRevision(shard: number): number {
    const bucket = shard % this.shape.buckets;
    const revision = (this.#revisions[bucket] ?? 0) + 1;
    this.#revisions[bucket] = revision;
    return revision;
  }
}

/** The records of a memory network, as one process reads and writes them. */
export function createMemoryRecords(link: Link, state: RecordState): RecordStore {
  const { shards, buckets, oneInFlight } = state.shape;
  const bucketOf = (shard: number): number => shard % buckets;

  return {
    shards,
    buckets,
    oneInFlight,
    fewSingles: oneInFlight ? 1 : MAX_WRITES,
    maxWrites: MAX_WRITES,
    bucketOf,
    claim: (shard, session, expected) => link.call(() => state.claim(shard, session, expected), "write"),
    owner: (shard) => link.call(() => state.owner(shard)),
    watchOwners: (handler) =>
      state.owners.watch(link, handler, (key) => ({ shard: Number(key), session: undefined, fence: 0 })),
    commit: async (writes) => {
      const first = writes[0];
      if (first === undefined) return { kind: "committed", revision: 0 };
      if (writes.length > MAX_WRITES || writes.some((write) => bucketOf(write.shard) !== bucketOf(first.shard))) {
        const message = `a commit takes up to ${MAX_WRITES} writes of one bucket`;
        return { kind: "refused", code: "STORE_UNAVAILABLE", message };
      }
      if (link.status !== "connected") {
        const message = "not connected to NATS; nothing was sent";
        return { kind: "refused", code: "STORE_UNAVAILABLE", message, disconnected: true };
      }
      const copies = writes.map((write) => ({ ...write, data: write.data.slice() }));
      try {
        return await link.call(() => state.commit(copies), "commit");
      } catch (error) {
        if (!isErgonError(error)) throw error;
        return { kind: "unknown", message: messageOf(error), disconnected: isUnreachable(error) };
      }
    },
    read: (shard, id) => link.call(() => state.read(shard, id)),
    probe: async () => {
      try {
        return await link.call(() => state.probe(), "write");
      } catch (error) {
        if (!isErgonError(error)) throw error;
        return { kind: "unknown", message: messageOf(error), disconnected: isUnreachable(error) };
      }
    },
    load: async (ranges, visit) => {
      const { found, covered } = await link.call(() => state.load(ranges));
      for (const [shard, record] of found) visit(shard, record);
      return covered;
    },
    time: () => link.call(() => link.broker.now()),
  };
}
