/** The revision of a shard's owner key. Writes of a former owner fail because of it. */
export type Fence = number;

/** One record to write. */
export interface Write {
  readonly shard: number;
  readonly id: string;
  /** The record. An empty one deletes the key. */
  readonly data: Uint8Array;
  readonly fence: Fence;
  /** The milliseconds for which the server keeps the record, at least 1,000. Without it, the server keeps the record until the next write. */
  readonly ttlMs?: number | undefined;
}

export type CommitResult =
  /** All writes are stored. `revision` is that of the last one. */
  | { readonly kind: "committed"; readonly revision: number }
  /** All writes are refused, because at least one fence is no longer its shard's. */
  | { readonly kind: "fenced" }
  /** The server refused all writes for a reason of its own (storage full, too large, not permitted). */
  | {
      readonly kind: "refused";
      readonly code: "STORE_FULL" | "STORE_UNAVAILABLE" | "PAYLOAD_TOO_LARGE" | "NOT_PERMITTED";
      readonly message: string;
      /** The connection is missing, which says nothing about the store. */
      readonly disconnected?: boolean;
    }
  /** No answer came, so the writes may or may not be stored. `disconnected` means that the connection broke, which says nothing about the store. */
  | { readonly kind: "unknown"; readonly message: string; readonly disconnected?: boolean };

export interface StoredRecord {
  readonly id: string;
  readonly data: Uint8Array;
  readonly revision: number;
}

/** The owner of a shard. */
export interface Ownership {
  readonly shard: number;
  /** The owner's session, or `undefined` when the shard is free. */
  readonly session: string | undefined;
  /** The revision of the owner key, or 0 if the shard was never owned. */
  readonly fence: Fence;
}

export type ClaimResult =
  | { readonly kind: "claimed"; readonly fence: Fence }
  /** Another process changed the owner key first. */
  | { readonly kind: "lost" };

/** The records of a shard to read. They are all records written after `after`, and the older records of `ids`. */
export interface LoadRange {
  readonly shard: number;
  readonly after: number;
  readonly ids: readonly string[];
}

export interface Watch {
  stop(): void;
}

/**
 * The records of one namespace, and the owner keys of its shards. Laws:
 *
 * - A commit is stored whole or not at all, and only if each write's fence is its shard's present one at that moment (law 3).
 * - After a `claim` succeeded, no write under an older fence of that shard is ever stored, and `load` and `read` see every write
 *   that was.
 * - Writes of one key under one fence are stored in the order in which `commit` was called, up to an `unknown`: what that one left behind may
 *   still arrive, by another way, after younger writes. Claim the shard again before writing on.
 * - `read` answers what is stored, never an older state.
 */
export interface RecordStore {
  readonly shards: number;
  readonly buckets: number;
  /** True if the commits of one bucket must go one at a time (replicated or always synced), otherwise they may be pipelined. */
  readonly oneInFlight: boolean;
  /**
   * The number of writes that may go singly and at once instead of in a batch, as long as no more are waiting, if commits of one bucket go one at a
   * time. It is 1 if the server accepts no second commit (replicated), and a few if it syncs every write, because a batch costs more than these.
   */
  readonly fewSingles: number;
  /** The most writes of one commit. */
  readonly maxWrites: number;
  bucketOf(shard: number): number;
  /**
   * Makes `session` (or nobody) the owner if the owner key still has revision `expected` (0 for a key that was never written). The claim may be
   * stored even if this throws; read the owner then.
   */
  claim(shard: number, session: string | undefined, expected: Fence): Promise<ClaimResult>;
  owner(shard: number): Promise<Ownership>;
  /** Reports every owner key, and then each change. After changes in quick succession it may report only the last. Resolves after the present keys. */
  watchOwners(handler: (ownership: Ownership) => void): Promise<Watch>;
  /** Stores all writes, which must belong to one bucket, or none. Never throws. */
  commit(writes: readonly Write[]): Promise<CommitResult>;
  read(shard: number, id: string): Promise<StoredRecord | undefined>;
  /** Writes a scratch key of a bucket to find out if the bucket takes writes. Never throws. */
  probe(bucket: number): Promise<CommitResult>;
  /**
   * Visits each record in the ranges once, in its newest state. Returns the last revision that the read covers (the smallest for ranges in several
   * buckets). The read is complete for a shard that this process has claimed, or whose owner it has read.
   */
  load(ranges: readonly LoadRange[], visit: (shard: number, record: StoredRecord) => void): Promise<number>;
  /** Returns the server's time at a moment between the call and its answer, in whole epoch milliseconds. */
  time(): Promise<number>;
}
