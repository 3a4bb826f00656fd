import type { ActorState, Effect, Machine } from "@ergon/core";

import type { EventWithoutTime, LiveActor } from "./actor.ts";
import type { HostedShard } from "./hosted-shard.ts";
import type { Settled } from "./writing.ts";

// A host as the other parts of a node see it: each takes the interface that has what it needs.

/** Reads actors. */
export interface Reading {
  /** The actor's state, unpacked if it was parked. Throws `ConflictError` when its record does not fit its machine here; it is set aside then. */
  wake(actor: LiveActor): ActorState;
  /** The actor's state as it is stored, or `undefined` while its first write is under way. */
  committed(actor: LiveActor): ActorState | undefined;
  /** Calls `run` when what the actor is now is stored, or its creation was refused, or it was set aside. Not called when the shard is lost. */
  whenStored(actor: LiveActor, run: Settled): void;
}

/** Starts actors. */
export interface Starting extends Reading {
  /** Starts an actor and stores it; `settled` hears when it is stored or refused. Throws when the machine cannot start. */
  create(shard: HostedShard, id: string, machine: Machine, input: unknown, at: number, settled: Settled): LiveActor;
}

/** Delivers events whose sender can be told how they ended. */
export interface Sending extends Reading {
  /**
   * Delivers an event and stores the outcome. Answers whether the actor took the event; `settled` is called only then. Throws
   * `TerminalError` (`RECORD_TOO_LARGE`) when what follows from the event cannot be stored: then it has not happened.
   */
  send(actor: LiveActor, event: EventWithoutTime, settled?: Settled): boolean;
}

/** Moves actors from state to state. */
export interface Stepping extends Sending {
  /** Delivers an event that nobody can be told about: an actor that cannot go on from it fails. */
  advance(actor: LiveActor, event: EventWithoutTime, settled?: Settled): boolean;
  /** Delivers an event without storing the outcome: the caller commits. Answers whether the actor took it. */
  transition(actor: LiveActor, event: EventWithoutTime): boolean;
  /** Stores what the actor is now. */
  commit(actor: LiveActor, settled: Settled): void;
}

/** Keeps tasks in the records of the instances that asked for them. */
export interface Embedding extends Stepping {
  /** Begins a task in the record of an actor whose write is to follow. */
  embed(actor: LiveActor, key: number, input: unknown, at: number): LiveActor;
  /** Takes a task out of the record that it is embedded in; `effects` are performed once that is stored. */
  unembed(task: LiveActor, effects?: readonly Effect[]): void;
  /** Takes what a task has become into the record that it is embedded in, whose write is to follow. The actor there hears of its end. */
  takeIn(task: LiveActor): void;
  /** Runs a part of the actor's way that nobody can be told about: where it cannot be taken, the actor fails. */
  orFail(actor: LiveActor, run: () => void): void;
}

/** Serves instances, whose machines have versions. */
export interface Versioned extends Stepping, Starting {
  /** The actor's state, after its move to the newest version of its machine that takes it over. */
  current(actor: LiveActor): ActorState;
  /** The same as `send`, to an actor whose `current` state the caller has asked for in this turn. */
  sendTo(actor: LiveActor, state: ActorState, event: EventWithoutTime, settled: Settled): boolean;
  /** Moves an instance to another version of its machine, and stores that. Throws `ConflictError` (`MIGRATION_FAILED`) when it cannot be moved. */
  migrate(actor: LiveActor, to: Machine): void;
}

/** Lets go of held tasks. */
export interface Releasing extends Reading {
  /** Delivers an event that what is stored leads to anyway: only what the event makes the actor do needs a write. */
  sendKnown(actor: LiveActor, event: EventWithoutTime): void;
  /** Removes an actor and its record, as if it had never been. */
  erase(actor: LiveActor): void;
}

/** Takes shards in and lets them go. */
export interface Residence {
  /** Takes a record that the shard's loading found. Ended ones are passed over, unreadable ones set aside. */
  restore(shard: HostedShard, id: string, data: Uint8Array, revision: number): void;
  /** Forgets what a loading that failed had read. */
  clear(shard: HostedShard): void;
  /** The shard is served from now on: its actors go on from their records. */
  revive(shard: HostedShard): void;
  /** Lets go of everything of a shard that this node no longer hosts. */
  drop(shard: HostedShard): void;
  /** Goes on with writes that were held back. */
  resume(): void;
}

/** Tells how busy the host is. */
export interface Backlog {
  /** Writes that wait for the store. */
  readonly backlog: number;
}
