import type { Fence } from "@ergon/core/engine";

export type ShardPhase = "loading" | "serving" | "suspended" | "draining" | "closed";

/** The interface of a shard for its actors. {@link HostedShard} implements it and knows the type of actors, and this interface keeps the two apart. */
export interface Shard<Actor> {
  readonly number: number;
  readonly bucket: number;
  readonly fence: Fence;
  readonly phase: ShardPhase;
  /** The time at which this node began to serve it, in epoch milliseconds. */
  readonly servedAt: number;
  readonly actors: ReadonlyMap<string, Actor>;
  /** The records that this node cannot read, by id, with the reason. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** The unreadable records that wait for a machine that this node does not know, with that machine as `name@version`. */
  readonly waiting: ReadonlyMap<string, string>;
  /** Tells whether another node knows a machine, and everything else that this shard needs. */
  readonly isKnownElsewhere: (machine: string) => boolean;
  /** The number of writes that are queued or in flight, and the callbacks that wait until there are none. */
  writes: number;
  readonly onIdle: (() => void) | undefined;
  /** The newest revision of its records that this node knows, and the number of writes since the last mark. */
  revision: number;
  writesSinceMark: number;
  add(actor: Actor): void;
  /** Removes an actor, unless another actor has its id by now. */
  remove(actor: Actor): void;
  /** Sets a record aside that this node cannot read. `machine` is the machine for which the record waits. */
  setAside(id: string, reason: string, machine?: string): void;
}
