import type { Fence } from "@ergon/core";

export type ShardPhase = "loading" | "serving" | "suspended" | "draining" | "closed";

/** A shard as its actors see it. {@link HostedShard} is one, and knows what an actor is; this interface keeps the two apart. */
export interface Shard<Actor> {
  readonly number: number;
  readonly bucket: number;
  readonly fence: Fence;
  readonly phase: ShardPhase;
  /** Since when this node serves it, epoch milliseconds. */
  readonly servedAt: number;
  readonly actors: ReadonlyMap<string, Actor>;
  /** Records that cannot be read here, by id, with the reason. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** The unreadable records that wait for a machine that is not known here, with that machine as `name@version`. */
  readonly waiting: ReadonlyMap<string, string>;
  /** Whether another node knows a machine, and all else that this shard needs. */
  readonly isKnownElsewhere: (machine: string) => boolean;
  /** Writes queued or in flight, and who waits for none. */
  writes: number;
  readonly onIdle: (() => void) | undefined;
  /** The newest revision of its records that this node knows, and the writes since the last mark. */
  revision: number;
  writesSinceMark: number;
  add(actor: Actor): void;
  /** Takes an actor out, if it is this one that is there. */
  remove(actor: Actor): void;
  /** Sets a record aside that cannot be read here; `machine`: it waits for that one. */
  setAside(id: string, reason: string, machine?: string): void;
}
