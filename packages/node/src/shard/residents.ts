import { messageOf } from "@ergon/core";

import type { NodeContext } from "../node-context.ts";
import type { ActorRecords } from "./actor-records.ts";
import type { ActorTimers } from "./actor-timers.ts";
import type { LiveActor } from "./actor.ts";
import type { Behaviour } from "./behaviour.ts";
import { NO_RECORD } from "./commit-queue.ts";
import type { CommitQueues } from "./commit-queues.ts";
import type { HostedShard } from "./hosted-shard.ts";
import type { Residence } from "./hosting.ts";
import type { Stepper } from "./stepper.ts";
import { UNQUEUED } from "./timer-queue.ts";
import type { Refusal } from "./writing.ts";

/** An actor with a timer nearer than this stays unpacked. */
const PARK_MS = 5_000;

export interface ResidentsParts {
  readonly context: NodeContext;
  readonly records: ActorRecords;
  readonly queues: CommitQueues;
  readonly timers: ActorTimers;
  readonly stepper: Stepper;
  readonly behaviourOf: (actor: LiveActor) => Behaviour;
  /** Stores the present state of the actor. */
  readonly store: (actor: LiveActor) => void;
}

/** Keeps the actors that live in this node. An actor leaves when it ends, when it is set aside, or with its shard. */
export class Residents implements Residence {
  readonly #parts: ResidentsParts;

  constructor(parts: ResidentsParts) {
    this.#parts = parts;
  }

  restore(shard: HostedShard, id: string, data: Uint8Array, revision: number): void {
    const { records, timers } = this.#parts;
    shard.revision = Math.max(shard.revision, revision);
    if (data.length === 0) return;
    const actor = records.restore(shard, id, data);
    if (actor === undefined) return;
    shard.add(actor);
    this.orSetAside(actor, () => {
      timers.watch(actor);
      for (const task of actor.embedded?.values() ?? []) timers.set(task, task.state?.timers ?? []);
      this.parkIfIdle(actor);
    });
  }

  clear(shard: HostedShard): void {
    for (const actor of shard.actors.values()) this.#leave(actor);
    shard.clear();
  }

  revive(shard: HostedShard): void {
    shard.servedAt = this.#parts.context.clock.now();
    for (const actor of [...shard.actors.values()]) {
      if (actor.state === undefined) continue;
      // A record that cannot continue must not take its shard down at one node after the other.
      this.orSetAside(actor, () => {
        this.#parts.behaviourOf(actor).restored(actor);
        if (!actor.unsaved) return;
        actor.unsaved = false;
        this.#parts.store(actor);
      });
    }
  }

  drop(shard: HostedShard): void {
    shard.phase = "closed";
    this.#parts.queues.drop(shard);
    for (const actor of shard.actors.values()) {
      this.#parts.behaviourOf(actor).dropped(actor);
      this.#leave(actor);
    }
    shard.actors.clear();
  }

  resume(): void {
    this.#parts.queues.resume();
  }

  /**
   * Sets an actor aside that cannot continue on this node. Its stored record stays as it is, and the node serves every other actor. The node logs this for an
   * operator, and answers requests for the actor with `TASK_UNREADABLE`.
   */
  setAside(actor: LiveActor, error: unknown): void {
    const { within, shard, id } = actor;
    if (within !== undefined) return this.setAside(within.actor, error);
    if (shard.actors.get(id) !== actor) return;
    const { logger } = this.#parts.context;
    logger.error({ shard: shard.number, id, err: error }, "an actor failed unexpectedly; this node sets it aside");
    this.putAside(actor, messageOf(error));
  }

  /** Does the same without a log line. */
  putAside(actor: LiveActor, reason: string): void {
    const { records, queues, behaviourOf } = this.#parts;
    actor.aside = true;
    records.setAside(actor.shard, actor.id, reason);
    this.attempt(actor, () => behaviourOf(actor).dropped(actor));
    this.attempt(actor, () => this.#leave(actor));
    queues.of(actor).forget(actor);
    this.tellWaiting(actor, NO_RECORD);
  }

  /** Runs work that has no sender to report to. If it throws, the node sets the actor aside, so that it holds up no other actor. */
  orSetAside(actor: LiveActor, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.setAside(actor, error);
    }
  }

  /** Runs a callback after a commit. Log its error and continue, otherwise one callback would hold up the others and the actor's own messages. */
  attempt({ shard, id }: LiveActor, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#parts.context.logger.error({ shard: shard.number, id, err: error }, "the steps after a commit failed");
    }
  }

  /** Reports the outcome to the callbacks that wait for a change of the actor. */
  tellWaiting(actor: LiveActor, refusal: Refusal | undefined): void {
    for (const { run } of actor.writing.takeWaiters(refusal !== undefined)) this.attempt(actor, () => run(refusal));
  }

  /** An ended actor with nothing left to deliver leaves. Its retention begins with this write, unless it has begun already. */
  retire(actor: LiveActor): void {
    if (actor.expires) this.forget(actor);
    else this.#parts.queues.of(actor).put(actor, () => this.forget(actor));
  }

  forget(actor: LiveActor): void {
    this.#leave(actor);
    actor.shard.remove(actor);
    if (actor.writing.stored === 0) this.#parts.behaviourOf(actor).dropped(actor);
  }

  /** Packs an actor that only a far timer or an event can move. */
  parkIfIdle(actor: LiveActor): void {
    const { state } = actor;
    if (state === undefined || !actor.writing.isDone || actor.isListenedTo || actor.unsaved) return;
    if (state.snapshot.status !== "active" || actor.embedded?.size || actor.flight !== undefined) return;
    if (actor.position !== UNQUEUED && actor.due - this.#parts.context.clock.now() < PARK_MS) return;
    if (!this.#parts.behaviourOf(actor).parks(state)) return;
    this.#parts.records.park(actor, state);
  }

  /** The actor takes no step here any more. */
  #leave(actor: LiveActor): void {
    const { timers, stepper } = this.#parts;
    timers.delete(actor);
    for (const task of actor.embedded?.values() ?? []) timers.delete(task);
    stepper.close(actor);
  }
}
