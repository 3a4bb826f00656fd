import type { ActorState, Effect, Machine } from "@ergon/core";

import type { Settled } from "./commit-queue.ts";
import type { HostedShard } from "./hosted-shard.ts";
import { UNQUEUED, type Due } from "./timer-queue.ts";

/** What a wait waits for, other than the end. */
export type Until = (state: ActorState) => boolean;

/** An event before the host gives it time and chance. */
export interface EventWithoutTime {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Somebody who waits for an actor's end, or watches it. */
export interface Listener extends Due {
  readonly actor: LiveActor;
  readonly kind: "wait" | "watch";
  readonly reply: string;
  readonly accept: string;
  /** Answer a success with the response itself. */
  readonly raw: boolean;
  readonly until?: Until | undefined;
  /** The reply-to of its last keepalive. */
  ping?: string;
}

/** What the dispatcher knows of the attempt that is out. Times are monotonic. */
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
}

/** A live actor in the memory of its host. Its state is ahead of the store by the writes that are under way. */
export class LiveActor implements Due {
  due = 0;
  position: number = UNQUEUED;
  /** `undefined` while parked: the record's bytes are kept instead, since they take a tenth of the memory. */
  state: ActorState | undefined;
  parked: Uint8Array | undefined;
  /** Its state as it was stored last: what readers are told (law 1). `undefined` before the first write, and while parked. */
  committed: ActorState | undefined;
  /** The number of the change that {@link LiveActor.committed} is. */
  committedAt = 0;
  /** Effects of steps whose record is not stored yet. */
  effects: Effect[] = [];
  /** The number of its last change, and of the last change that is stored; 0: none. */
  sequence = 0;
  stored = 0;
  /** Writes that are with the store. */
  writesOut = 0;
  /** Who waits until a change is stored. */
  waiting: { readonly sequence: number; readonly run: Settled }[] | undefined;
  listeners: Listener[] | undefined;
  flight: Flight | undefined;
  progress: unknown;
  /** It was set aside: nothing of it happens here any more, nor is stored. */
  aside = false;
  /** Its record is to be deleted (a batch that was refused). */
  erased = false;
  /** The status and attempt that listeners were told last. */
  published: string | undefined;
  /** Growing number of its place in a driver's queue; 0: not queued. */
  ticket = 0;
  /** The driver's queue that it is in. */
  waitsIn: { remove(actor: LiveActor): void } | undefined;
  scheduledAt = 0;
  /** Tasks that are embedded in its record, by the number under which it asked for them. */
  embedded: Map<number, LiveActor> | undefined;
  /** Of embedded tasks: effects that wait for the record they are in. */
  pending: [task: LiveActor, effects: readonly Effect[]][] | undefined;
  /** Of an embedded task: the actor in whose record it is, and its number there. */
  host: { readonly actor: LiveActor; readonly key: number } | undefined;
  /** Its record, as it was encoded last, has a time to live: the server removes it. */
  expires = false;
  /** Of an instance of a user's machine: its last state whose record fitted a message. */
  fitting: ActorState | undefined;
  /** Its record as it would be written now, where it was made already. */
  encoded: { readonly sequence: number; readonly data: Uint8Array } | undefined;
  readonly id: string;
  readonly shard: HostedShard;
  /** Another version of it, once it has been migrated. */
  machine: Machine;
  /** Its migration has failed: it stays on its version as long as it is here. */
  stays = false;
  /** It was migrated on its way out of its record: that is to be stored when its shard is served. */
  unsaved = false;
  /** Unknown fields of its record, kept as they are. */
  readonly rest: Readonly<Record<string, unknown>> | undefined;

  constructor(id: string, shard: HostedShard, machine: Machine, rest?: Readonly<Record<string, unknown>>) {
    this.id = id;
    this.shard = shard;
    this.machine = machine;
    this.rest = rest;
  }
}

/** Takes out those who wait for what is stored by now; `all`: whatever they wait for. */
export function takeWaiting(actor: LiveActor, all: boolean): NonNullable<LiveActor["waiting"]> {
  const { waiting = [], stored } = actor;
  const due = waiting.filter(({ sequence }) => all || sequence <= stored);
  if (due.length > 0)
    actor.waiting = due.length === waiting.length ? undefined : waiting.filter((one) => !due.includes(one));
  return due;
}

/** The write of a state is stored. One that was in doubt may settle after a later one, which stands then. */
export function noteCommitted(actor: LiveActor, state: ActorState, sequence: number): void {
  if (sequence <= actor.committedAt) return;
  actor.committedAt = sequence;
  actor.committed = state;
}
