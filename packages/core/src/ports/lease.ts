import type { Watch } from "./store.ts";

/** A lease of a live process, as the bucket holds it. */
export interface Session {
  readonly id: string;
  /** The lease's value, or `undefined` after its end by its holder, by a witness of the holder's death, or by its time. */
  readonly data: Uint8Array | undefined;
  readonly revision: number;
}

/**
 * Leases with a time to live that the server counts (no clock of ours decides), and two kinds of small notes beside them. Laws:
 *
 * - A session that is not renewed for its `ttlMs` is reported ended to every watcher.
 * - `decide` is answered by everyone with the same value for a key: the first that was written.
 */
export interface LeaseStore {
  /** Creates or renews a session. `ttlMs` is at least 1,000. */
  renew(id: string, data: Uint8Array, ttlMs: number): Promise<void>;
  /** Ends a session for its holder, or for a witness of the holder's death. A second end does nothing. */
  end(id: string): Promise<void>;
  /** Reports every live session, and then each change. After changes in quick succession it may report only the last. Resolves after the present sessions. */
  watch(handler: (session: Session) => void): Promise<Watch>;
  /** Keeps a note for the shard's next owner. It replaces the last note. */
  writeMark(shard: number, data: Uint8Array): Promise<void>;
  readMark(shard: number): Promise<Uint8Array | undefined>;
  /** Writes `value` under `key` unless the key has a value, and returns the value that the key then has. The key lives for `ttlMs`. */
  decide(key: string, value: string, ttlMs: number): Promise<string>;
}
