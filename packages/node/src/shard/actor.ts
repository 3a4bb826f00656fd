import {
  isMachineState,
  toldTask,
  withoutTell,
  type ActorState,
  type Asking,
  type Effect,
  type Machine,
} from "@ergon/core";

import type { Shard } from "./shard.ts";
import { UNQUEUED, type Due } from "./timer-queue.ts";
import { Writing } from "./writing.ts";

/** An event before the host gives it time and chance. */
export interface EventWithoutTime {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** The shard of an actor. */
export type HomeShard = Shard<LiveActor>;

/** Somebody who waits for an actor's end, or watches it. */
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
  /** `undefined`: whoever serves the driver's subject. */
  readonly agent: string | undefined;
  readonly attempt: number;
  /** Since when it is this node's to watch. */
  readonly launchedAt: number;
  sentAt: number;
  /** When it was last heard of, 0 before. */
  heardAt: number;
  /** It may have been given to its agent before: one that does not know it must not begin it. */
  again: boolean;
  /** The server has said that its agent was not there. */
  bounced: boolean;
  /** Its agent has said how it ended: the slot under it is free again. */
  answered: boolean;
  /** Its agent's last word on how far it is. */
  progress: unknown;
}

/** Where a task waits for its turn. */
export interface QueuePlace {
  readonly queue: { remove(actor: LiveActor): void };
}

/** The listeners of an actor, and the change that they know. */
export interface Listening {
  /** `undefined` when there are none. */
  listeners: Listener[] | undefined;
  /** The status and attempt that were published last. */
  published: string | undefined;
}

/**
 * A live actor in the memory of its host. Its state is ahead of the store by the writes that are in flight.
 *
 * Everybody may read an actor. Each part of it has one owner, and only the owner writes it (`test/meta/actor-owners.test.ts`). A part that every
 * actor needs is a field here, since one more object per actor costs more than the field; a part that few actors have at a time is an object that
 * its owner makes when it is needed.
 */
export class LiveActor implements Due {
  readonly id: string;
  readonly shard: HomeShard;
  /** Unknown fields of its record, kept as they are. */
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
  /** `undefined` while parked: the record's bytes are kept instead, since they take a tenth of the memory. */
  state: ActorState | undefined;
  parked: Uint8Array | undefined;
  /** Its state as it was stored last: what readers are told (law 1). `undefined` before the first write, and while parked. */
  committed: ActorState | undefined;
  /** The number of the change that {@link LiveActor.committed} is. */
  committedAt = 0;
  /** Effects of steps whose record is not stored yet. */
  effects: readonly Effect[] = NOTHING;
  /** Effects of embedded tasks that wait for the write of this actor's record. */
  pending: [task: LiveActor, effects: readonly Effect[]][] | undefined;
  /** Tasks that are embedded in its record, by the number under which it asked for them. */
  embedded: Map<number, LiveActor> | undefined;
  /** The actor whose record holds this embedded task, and the task's number there. */
  within: { readonly actor: LiveActor; readonly key: number } | undefined;
  scheduledAt = 0;
  /** Another version of it, once it has been migrated. */
  machine: Machine;
  /** Its migration has failed: it stays on its version as long as it is here. */
  stays = false;
  /** It was migrated on its way out of its record: that is to be stored when its shard is served. */
  unsaved = false;
  /** It was set aside: nothing of it happens here any more, nor is stored. */
  aside = false;
  /** Its record is to be deleted (a batch that was refused). */
  erased = false;

  // ActorRecords, a part of the host, owns these.
  /** Its record, as it was encoded last, has a time to live: the server removes it. */
  expires = false;
  /** The last state of an instance whose record fitted a message. */
  fitting: ActorState | undefined;
  /** Its record as it would be written now, where it was made already. */
  encoded: { readonly sequence: number; readonly data: Uint8Array } | undefined;

  constructor(id: string, shard: HomeShard, machine: Machine, rest?: Readonly<Record<string, unknown>>) {
    this.id = id;
    this.shard = shard;
    this.machine = machine;
    this.rest = rest;
  }

  /** Whether somebody waits for it, or watches it. */
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

  /** Only the bytes of its record are kept. */
  park(record: Uint8Array): void {
    this.parked = record;
    this.state = undefined;
    this.committed = undefined;
    this.fitting = undefined;
  }

  /** The write of a state is stored. One that was in doubt may settle after a later one, which stands then. */
  noteCommitted(state: ActorState, sequence: number): void {
    if (sequence <= this.committedAt) return;
    this.committedAt = sequence;
    this.committed = state;
  }

  /** A message of it has been taken. */
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

  /** The effects that were asked for since the last call. */
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
