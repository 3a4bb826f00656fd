import type { ActorState, Effect, Gap, Timer } from "@ergon/core/engine";

import type { LiveActor } from "./actor.ts";

/** The hooks of a kind of machine that its host calls around the steps. `task` is one kind. */
export interface Behaviour {
  /** The host calls this after a transition and before its commit. It may take further steps that belong into the same write. */
  prepare(actor: LiveActor): void;
  /** Performs an effect whose record is stored. */
  perform(actor: LiveActor, effect: Effect): void;
  /** The store holds the record, and the host has performed its effects. `ended` is true if the actor has ended. */
  stored(actor: LiveActor, ended: boolean): void;
  /** The shard restored the actor from its record. */
  restored(actor: LiveActor): void;
  /** The actor leaves this host, because its shard is gone or its creation was refused. */
  dropped(actor: LiveActor): void;
  /** The time for which an ended record stays readable. */
  retentionMs(state: ActorState): number;
  /** Tells whether only a far timer or an event can move the actor, so that its bytes suffice. */
  parks(state: ActorState): boolean;
  /** Tells whether the work that a timer bounds may have ended in a gap in which no node could hear so. Its answer may be on its way. */
  mayBeAnswered(actor: LiveActor, timer: Timer, gap: Gap): boolean;
  /** Explains why the wait that a timer bounds has not ended, as far as the node knows. */
  causeOf(state: ActorState, timer: Timer): string | undefined;
  /** The host took the last step back, so the actor is in its previous state. */
  rolledBack(actor: LiveActor): void;
  /** Tells whether an ended actor still has a message to deliver. The actor stays until `Host.release`. */
  lingers(actor: LiveActor): boolean;
}
