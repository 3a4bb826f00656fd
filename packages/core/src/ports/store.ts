/** The revision of a shard's owner key: what makes a former owner's writes fail. */
export type Fence = number;

/** One record to be written. */
export interface Write {
  readonly shard: number;
  readonly id: string;
  /** The record; empty deletes it. */
  readonly data: Uint8Array;
  readonly fence: Fence;
  /** How long the server keeps the record, at least 1,000; absent keeps it until it is written again. */
  readonly ttlMs?: number | undefined;
}

export type CommitResult =
  /** Stored: all of it. `revision` is that of the last write. */
  | { readonly kind: "committed"; readonly revision: number }
  /** Refused, all of it: at least one of the fences is no longer its shard's. */
  | { readonly kind: "fenced" }
  /** Refused, all of it, by the server for a reason of its own (storage full, too large, not permitted). */
  | {
      readonly kind: "refused";
      readonly code: "STORE_FULL" | "STORE_UNAVAILABLE" | "PAYLOAD_TOO_LARGE" | "NOT_PERMITTED";
      readonly message: string;
      /** There is no connection, which says nothing about the store. */
      readonly disconnected?: boolean;
    }
  /** No answer came: it may be stored or not. `disconnected`: the connection broke, which says nothing about the store. */
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
  /** 0 when it was never owned. */
  readonly fence: Fence;
}

export type ClaimResult =
  | { readonly kind: "claimed"; readonly fence: Fence }
  /** Somebody else changed the owner key first. */
  | { readonly kind: "lost" };

/** The records of a shard to read: everything written after `after`, and the older records of `ids`. */
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
   * Where commits of one bucket go one at a time: how many writes may go singly and at once instead, as long as no more are waiting. 1 where the
   * server takes no second one (replicated); a few where it syncs every write, since a batch costs more than these.
   */
  readonly fewSingles: number;
  /** Most writes that one commit takes. */
  readonly maxWrites: number;
  bucketOf(shard: number): number;
  /**
   * Makes `session` (or nobody) the owner if the owner key still has revision `expected` (0: never written). When it throws, the claim may
   * have been stored all the same: ask for the owner.
   */
  claim(shard: number, session: string | undefined, expected: Fence): Promise<ClaimResult>;
  owner(shard: number): Promise<Ownership>;
  /** Reports every owner key as it is, then each change, of changes in quick succession at least the last; resolves when the present ones have been reported. */
  watchOwners(handler: (ownership: Ownership) => void): Promise<Watch>;
  /** Stores all writes, which belong to one bucket, or none. Never throws. */
  commit(writes: readonly Write[]): Promise<CommitResult>;
  read(shard: number, id: string): Promise<StoredRecord | undefined>;
  /** Writes a scratch key of a bucket: whether that takes writes. Never throws. */
  probe(bucket: number): Promise<CommitResult>;
  /**
   * Visits the records in the ranges, each once, in its newest state; answers the last revision that the read covers (of ranges in several
   * buckets the smallest). Complete for a shard that this process has claimed, or whose owner it has asked for.
   */
  load(ranges: readonly LoadRange[], visit: (shard: number, record: StoredRecord) => void): Promise<number>;
  /** The time of the server's clock at a moment between the call and its answer, in whole epoch milliseconds. */
  time(): Promise<number>;
}
