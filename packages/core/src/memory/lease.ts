import type { Clock, TimerHandle } from "../base/clock.ts";
import type { LeaseStore, Session } from "../ports/lease.ts";
import { Feed } from "./feed.ts";
import type { Link } from "./link.ts";

/** The lease bucket, at the broker. */
export class LeaseState {
  readonly sessions: Feed<Session> = new Feed();
  readonly marks: Map<number, Uint8Array> = new Map();
  readonly #decisions: Map<string, string> = new Map();
  readonly #expiries: Map<string, TimerHandle> = new Map();
  readonly #clock: Clock;
  #revision = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  renew(id: string, data: Uint8Array, ttlMs: number): void {
    this.#clock.cancel(this.#expiries.get(id));
    this.#expiries.set(
      id,
      this.#clock.after(ttlMs, () => this.end(id)),
    );
    this.sessions.set(id, { id, data, revision: ++this.#revision });
  }

  end(id: string): void {
    this.#clock.cancel(this.#expiries.get(id));
    this.#expiries.delete(id);
    this.sessions.delete(id, { id, data: undefined, revision: ++this.#revision });
  }

  decide(key: string, value: string, ttlMs: number): string {
    const standing = this.#decisions.get(key);
    if (standing !== undefined) return standing;
    this.#decisions.set(key, value);
    this.#clock.after(ttlMs, () => this.#decisions.delete(key));
    return value;
  }
}

/** The leases of a memory network, as one process reads and writes them. */
export function createMemoryLeases(link: Link, state: LeaseState): LeaseStore {
  return {
    renew: (id, data, ttlMs) => {
      const copy = data.slice();
      return link.call(() => state.renew(id, copy, ttlMs));
    },
    end: (id) => link.call(() => state.end(id)),
    watch: (handler) => state.sessions.watch(link, handler, (id) => ({ id, data: undefined, revision: 0 })),
    writeMark: (shard, data) => {
      const copy = data.slice();
      return link.call(() => void state.marks.set(shard, copy));
    },
    readMark: (shard) => link.call(() => state.marks.get(shard)),
    decide: (key, value, ttlMs) => link.call(() => state.decide(key, value, ttlMs)),
  };
}
