import type { ActorState, Effect, Gap, Timer } from "@ergon/core";

import type { LiveActor } from "./actor.ts";

/** The part of a kind of machine that its host calls around the steps: `task` is one kind. */
export interface Behaviour {
  /** After a transition and before its commit: may take further steps that belong into the same write. */
  prepare(actor: LiveActor): void;
  /** Performs an effect whose record is stored. */
  perform(actor: LiveActor, effect: Effect): void;
  /** After a record was stored, and its effects were performed. `ended`: it was the last. */
  stored(actor: LiveActor, ended: boolean): void;
  /** The shard brought the actor back from its record. */
  restored(actor: LiveActor): void;
  /** The actor leaves this host: its shard is gone, or it was never stored. */
  dropped(actor: LiveActor): void;
  /** How long an ended record stays readable. */
  retentionMs(state: ActorState): number;
  /** Whether nothing but a far timer or an event can move the actor, so that its bytes suffice. */
  parks(state: ActorState): boolean;
  /** Whether the work that a timer bounds may have ended in the gap, when no node could hear so: the answer may be on its way. */
  mayBeAnswered(actor: LiveActor, timer: Timer, gap: Gap): boolean;
  /** Why the wait that a timer bounds had no end, as far as the node knows. */
  causeOf(state: ActorState, timer: Timer): string | undefined;
  /** The last step has not happened; the actor is as it was before. */
  rolledBack(actor: LiveActor): void;
  /** Whether an ended actor still has something to say. It stays until `Host.release`. */
  lingers(actor: LiveActor): boolean;
}
