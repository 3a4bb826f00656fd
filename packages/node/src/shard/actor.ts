import { type Machine } from "@ergon/core";
import { isMachineState, toldTask, withoutTell, type ActorState, type Asking, type Effect } from "@ergon/core/engine";

import type { Shard } from "./shard.ts";
import { UNQUEUED, type Due } from "./timer-queue.ts";
import { Writing } from "./writing.ts";

/** An event before the host adds the time and random numbers. */
export interface EventWithoutTime {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** The shard of an actor. */
export type HomeShard = Shard<LiveActor>;

/** A client that waits for an actor's end, or watches the actor. */
export interface Listener extends Due {
  readonly actor: LiveActor;
  readonly kind: "wait" | "watch";
  readonly reply: string;
  readonly asking: Asking;
  /** The reply-to of its last keepalive. */
  ping?: string;
}

/** The attempt in flight, as the dispatcher knows it. Times are monotonic. */
export interface Flight {
  /** The agent, or `undefined` if the attempt went to the driver's subject. */
  readonly agent: string | undefined;
  readonly attempt: number;
  /** The time at which this node began to watch the attempt. */
  readonly launchedAt: number;
  sentAt: number;
  /** The time of the last message about the attempt, or 0 if none has come. */
  heardAt: number;
  /** Its agent may have had the attempt before. An agent that does not know the attempt must not begin it. */
  again: boolean;
  /** The server has reported that nobody serves the agent's subject. */
  bounced: boolean;
  /** Its agent has reported the end of the attempt, so its slot is free again. */
  answered: boolean;
  /** The last progress that its agent reported. */
  progress: unknown;
}

/** The place of a task in the queue of its driver. */
export interface QueuePlace {
  readonly queue: { remove(actor: LiveActor): void };
}

/** The listeners of an actor, and the last change that they know. */
export interface Listening {
  /** The listeners, or `undefined` if there are none. */
  listeners: Listener[] | undefined;
  /** The status and attempt of the last publication. */
  published: string | undefined;
}

/**
 * A live actor in the memory of its host. Its state is ahead of the store by the writes that are in flight.
 *
 * Everybody may read an actor. Each part of it has one owner, and only the owner writes it (`test/meta/actor-owners.test.ts`). A part that every
 * actor needs is a field here, since one more object per actor costs more than the field. A part that few actors have at a time is an object that
 * its owner makes when it is needed.
 */
export class LiveActor implements Due {
  readonly id: string;
  readonly shard: HomeShard;
  /** The unknown fields of its record. The node keeps them as they are. */
  readonly rest: Readonly<Record<string, unknown>> | undefined;

  // The timer queue owns these.
  due = 0;
  position: number = UNQUEUED;

  // The commit queue owns this.
  readonly writing: Writing = new Writing();

  // dispatch/ owns these: the attempt in flight, and the task's place in the queue of its driver.
  flight: Flight | undefined;
  queued: QueuePlace | undefined;

  // serve/listeners.ts owns this.
  listening: Listening | undefined;

  // The host owns these.
  /** Its state, or `undefined` while it is parked. A parked actor keeps only its record's bytes, which need a tenth of the memory. */
  state: ActorState | undefined;
  parked: Uint8Array | undefined;
  /** Its last stored state, which readers get (law 1). It is `undefined` before the first write, and while the actor is parked. */
  committed: ActorState | undefined;
  /** The number of the change that {@link LiveActor.committed} is. */
  committedAt = 0;
  /** The effects of steps whose record is not stored yet. */
  effects: readonly Effect[] = NOTHING;
  /** The effects of embedded tasks that wait for the write of this actor's record. */
  pending: [task: LiveActor, effects: readonly Effect[]][] | undefined;
  /** The tasks that are embedded in its record, by the number under which the actor asked for them. */
  embedded: Map<number, LiveActor> | undefined;
  /** The actor whose record holds this embedded task, and the task's number there. */
  within: { readonly actor: LiveActor; readonly key: number } | undefined;
  scheduledAt = 0;
  /** The version to which the node has migrated it. */
  machine: Machine;
  /** Its migration has failed, so it keeps its version as long as this node hosts it. */
  stays = false;
  /** The node migrated it while it read its record. The host stores this when the shard serves. */
  unsaved = false;
  /** The node has set it aside: it takes no step here any more, and the node stores nothing of it. */
  aside = false;
  /** The node deletes its record, because its batch was refused. */
  erased = false;

  // ActorRecords, a part of the host, owns these.
  /** Its last encoded record has a time to live, after which the server removes it. */
  expires = false;
  /** The last state of an instance whose record fitted a message. */
  fitting: ActorState | undefined;
  /** Its present record, if the node has already encoded it. */
  encoded: { readonly sequence: number; readonly data: Uint8Array } | undefined;

  constructor(id: string, shard: HomeShard, machine: Machine, rest?: Readonly<Record<string, unknown>>) {
    this.id = id;
    this.shard = shard;
    this.machine = machine;
    this.rest = rest;
  }

  /** Tells whether a client waits for it or watches it. */
  get isListenedTo(): boolean {
    return this.listening?.listeners !== undefined;
  }

  /** Its state as its record holds it. */
  hold(state: ActorState): void {
    this.parked = undefined;
    this.state = state;
    this.committed = state;
    this.fitting = state;
  }

  /** The actor keeps only the bytes of its record. */
  park(record: Uint8Array): void {
    this.parked = record;
    this.state = undefined;
    this.committed = undefined;
    this.fitting = undefined;
  }

  /** The store holds a state. A write in doubt may settle after a later write, and then the later state stands. */
  noteCommitted(state: ActorState, sequence: number): void {
    if (sequence <= this.committedAt) return;
    this.committedAt = sequence;
    this.committed = state;
  }

  /** The receiver has taken one of its messages. */
  forgetTell(seq: number): void {
    const { state, committed } = this;
    if (state === undefined) return;
    this.state = without(state, seq);
    if (committed !== undefined) this.committed = committed === state ? this.state : without(committed, seq);
  }

  /** A step asks for effects. */
  addEffects(effects: readonly Effect[]): void {
    if (effects.length > 0) this.effects = this.effects.length === 0 ? effects : [...this.effects, ...effects];
  }

  /** Returns the effects that steps have asked for since the last call. */
  takeEffects(): readonly Effect[] {
    const { effects } = this;
    this.effects = NOTHING;
    return effects;
  }
}

const NOTHING: readonly Effect[] = [];

function without(state: ActorState, seq: number): ActorState {
  return isMachineState(state) ? withoutTell(state, seq) : toldTask(state);
}
