import type { Machine } from "@ergon/core";
import type { ActorState, Effect } from "@ergon/core/engine";

import type { EventWithoutTime, LiveActor } from "./actor.ts";
import type { HostedShard } from "./hosted-shard.ts";
import type { Settled } from "./writing.ts";

// These interfaces show a host to the other parts of a node. Each part takes the interface that it needs.

/** Reads actors. */
export interface Reading {
  /**
   * Returns the actor's state, and unpacks it if it is parked. Throws `ConflictError` if its record does not fit its machine here, and sets the actor
   * aside.
   */
  wake(actor: LiveActor): ActorState;
  /** Returns the actor's stored state, or `undefined` while its first write is in flight. */
  committed(actor: LiveActor): ActorState | undefined;
  /**
   * Calls `run` when the present state of the actor is stored, when its creation was refused, or when it was set aside. Does not call it if the node
   * loses the shard.
   */
  whenStored(actor: LiveActor, run: Settled): void;
}

/** Starts actors. */
export interface Starting extends Reading {
  /** Starts an actor and stores it. `settled` hears whether it was stored or refused. Throws if the machine cannot start. */
  create(shard: HostedShard, id: string, machine: Machine, input: unknown, at: number, settled: Settled): LiveActor;
}

/** Delivers events and reports the outcome to the sender. */
export interface Sending extends Reading {
  /**
   * Delivers an event and stores the outcome. Returns whether the actor took the event, and calls `settled` only in that case. Throws `TerminalError`
   * (`RECORD_TOO_LARGE`) if the store cannot hold the outcome, and takes the step back.
   */
  send(actor: LiveActor, event: EventWithoutTime, settled?: Settled): boolean;
}

/** Moves actors from state to state. */
export interface Stepping extends Sending {
  /** Delivers an event that has no sender to report to. An actor that cannot continue from it fails. */
  advance(actor: LiveActor, event: EventWithoutTime, settled?: Settled): boolean;
  /** Delivers an event without a write, because the caller commits. Returns whether the actor took it. */
  transition(actor: LiveActor, event: EventWithoutTime): boolean;
  /** Stores the present state of the actor. */
  commit(actor: LiveActor, settled: Settled): void;
}

/** Keeps tasks in the records of the instances that asked for them. */
export interface Embedding extends Stepping {
  /** Begins a task in the record of an actor. The caller writes the record afterwards. */
  embed(actor: LiveActor, key: number, input: unknown, at: number): LiveActor;
  /** Removes a task from the record that holds it. The host performs `effects` after the write. */
  unembed(task: LiveActor, effects?: readonly Effect[]): void;
  /**
   * Puts the present state of a task into the record that holds it, and tells the actor of that record about the task's end. The caller writes the
   * record afterwards.
   */
  takeIn(task: LiveActor): void;
  /** Runs a piece of work of the actor that has no sender to report to. If it throws, the actor fails. */
  orFail(actor: LiveActor, run: () => void): void;
}

/** Serves instances, whose machines have versions. */
export interface Versioned extends Stepping, Starting {
  /** Returns the actor's state, after it has moved the actor to the newest version of its machine that takes it over. */
  current(actor: LiveActor): ActorState;
  /** Does the same as `send`, for an actor whose `current` state the caller has read in this turn. */
  sendTo(actor: LiveActor, state: ActorState, event: EventWithoutTime, settled: Settled): boolean;
  /** Moves an instance to another version of its machine, and stores the result. Throws `ConflictError` (`MIGRATION_FAILED`) if that is not possible. */
  migrate(actor: LiveActor, to: Machine): void;
}

/** Releases held tasks. */
export interface Releasing extends Reading {
  /** Delivers an event that already follows from what is stored. Only the actor's reaction to the event needs a write. */
  sendKnown(actor: LiveActor, event: EventWithoutTime): void;
  /** Removes an actor and its record without a trace. */
  erase(actor: LiveActor): void;
}

/** Takes shards in and releases them. */
export interface Residence {
  /** Takes a record that the shard's loading found. It skips ended actors and sets unreadable records aside. */
  restore(shard: HostedShard, id: string, data: Uint8Array, revision: number): void;
  /** Drops the records that a failed loading had read. */
  clear(shard: HostedShard): void;
  /** The shard serves from now on, and its actors continue from their records. */
  revive(shard: HostedShard): void;
  /** Releases everything of a shard that this node no longer hosts. */
  drop(shard: HostedShard): void;
  /** Resumes the writes that the store held back. */
  resume(): void;
}

/** Tells the load of the host. */
export interface Backlog {
  /** The number of writes that wait for the store. */
  readonly backlog: number;
}
