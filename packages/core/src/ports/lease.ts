import type { Watch } from "./store.ts";

/** A lease on being alive, as the bucket holds it. */
export interface Session {
  readonly id: string;
  /** `undefined`: it ended, by its holder, by a witness of its death, or by its time. */
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
  /** Ends a session: its holder's goodbye, or the word of a witness that it is dead. Ending it twice does nothing. */
  end(id: string): Promise<void>;
  /** Reports every live session, then each change, of changes in quick succession at least the last; resolves when the present ones have been reported. */
  watch(handler: (session: Session) => void): Promise<Watch>;
  /** Keeps a note for the shard's next owner, replacing the last. */
  writeMark(shard: number, data: Uint8Array): Promise<void>;
  readMark(shard: number): Promise<Uint8Array | undefined>;
  /** Writes `value` under `key` unless the key has one; answers the value that stands. Kept for `ttlMs`. */
  decide(key: string, value: string, ttlMs: number): Promise<string>;
}
