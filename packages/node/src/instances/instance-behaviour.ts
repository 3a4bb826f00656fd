import {
  concludeAsks,
  endingWhenLost,
  isAlarm,
  performAsk,
  prepareAsks,
  resumeAsks,
  taskOf,
  type ActorState,
  type Effect,
  type Gap,
  type MachineState,
  type Tell,
  type Timer,
} from "@ergon/core/engine";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { answeredOf } from "../dispatch/recorded-answer.ts";
import type { NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { Behaviour } from "../shard/behaviour.ts";
import type { Embedding } from "../shard/hosting.ts";
import { endingOf } from "./ending.ts";
import { InstanceAsks } from "./instance-asks.ts";
import type { Outbox } from "./outbox.ts";

/** The reports of an instance's changes to the rest of the node. */
export interface InstanceListeners {
  stored(actor: LiveActor, ended: boolean): void;
  dropped(actor: LiveActor): void;
}

/** The behaviour of instances on their host: it performs their asks, and posts their messages to other actors. */
export class InstanceBehaviour implements Behaviour {
  readonly #context: NodeContext;
  readonly #dispatcher: Dispatcher;
  readonly #outbox: Outbox;
  readonly #listeners: InstanceListeners;
  readonly #host: Embedding;

  constructor(
    context: NodeContext,
    host: Embedding,
    dispatcher: Dispatcher,
    outbox: Outbox,
    listeners: InstanceListeners,
  ) {
    this.#context = context;
    this.#host = host;
    this.#dispatcher = dispatcher;
    this.#outbox = outbox;
    this.#listeners = listeners;
  }

  /** Performs the instance's asks within the same write. An instance that has ended no longer needs its tasks. */
  prepare(actor: LiveActor): void {
    if (this.#host.wake(actor).snapshot.status !== "active")
      for (const key of [...(actor.embedded?.keys() ?? [])]) this.#asks(actor).withdraw(key);
    if (actor.effects.length === 0) return;
    const asked = actor.takeEffects();
    const asks = this.#asks(actor);
    actor.addEffects(prepareAsks(asks, asked));
    concludeAsks(asks, asked);
  }

  perform(actor: LiveActor, effect: Effect): void {
    performAsk(this.#asks(actor), effect);
  }

  /** An embedded task has ended. The actor that asked for it hears so within the same write. */
  taskEnded(actor: LiveActor, key: number, ended: ActorState): void {
    const host = this.#host;
    if (host.wake(actor).snapshot.status !== "active") return;
    const task = taskOf(ended);
    const event = { type: "ergon.task", key, ending: endingOf(task), answered: answeredOf(key, task) };
    host.orFail(actor, () => {
      host.transition(actor, event);
      this.prepare(actor);
    });
  }

  /** Nobody will ever take the message. If its sender waits for an end, the sender hears so. Every other message is lost. */
  undeliverable(actor: LiveActor, tell: Tell, error: Error): void {
    const { key, to, what } = tell;
    const ending = endingWhenLost(tell, error);
    if (ending === undefined)
      return this.#context.logger.info(
        { id: actor.id, to, kind: what.kind, reason: error.message },
        "a message could not be delivered; it is dropped",
      );
    if (actor.state?.snapshot.status !== "active") return;
    this.#host.advance(actor, { type: "ergon.task", key, ending });
  }

  stored(actor: LiveActor, ended: boolean): void {
    this.#outbox.post(actor);
    this.#listeners.stored(actor, ended);
  }

  restored(actor: LiveActor): void {
    for (const task of actor.embedded?.values() ?? []) this.#dispatcher.restored(task);
    this.rolledBack(actor);
    this.#outbox.post(actor);
  }

  /** Work that ran inside the node runs again, because the node runs it at least once. */
  rolledBack(actor: LiveActor): void {
    const state = actor.state as MachineState | undefined;
    if (state !== undefined) resumeAsks(this.#asks(actor), state.tree.takeCommands());
  }

  dropped(actor: LiveActor): void {
    for (const task of actor.embedded?.values() ?? []) this.#dispatcher.dropped(task);
    this.#outbox.forget(actor);
    this.#listeners.dropped(actor);
  }

  retentionMs(state: ActorState): number {
    return (state as MachineState).meta.retentionMs;
  }

  parks(state: ActorState): boolean {
    const { tree, meta } = state as MachineState;
    return meta.outbox.length === 0 && tree.idle;
  }

  /** An overdue timer of an instance may bound a task or a durable child whose end is on its way. */
  mayBeAnswered(actor: LiveActor, timer: Timer, { end }: Gap): boolean {
    if (timer.due > end || isAlarm(timer)) return false;
    const host = this.#host;
    const { clock } = this.#context;
    const sinceGapMs = clock.now() - end;
    for (const { flight, state } of actor.embedded?.values() ?? []) {
      const isOut = state?.snapshot.status === "active" && flight !== undefined;
      if (isOut && clock.monotonic() - flight.heardAt >= sinceGapMs) return true;
    }
    return Object.keys((host.wake(actor) as MachineState).meta.children).length > 0;
  }

  causeOf(): undefined {
    // Only the machine knows which work its own timers bound.
  }

  lingers(actor: LiveActor): boolean {
    return this.#outbox.holds(actor);
  }

  #asks(actor: LiveActor): InstanceAsks {
    return new InstanceAsks(this.#context, this.#host, this.#dispatcher, actor);
  }
}
