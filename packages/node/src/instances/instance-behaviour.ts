import {
  JSON_TYPE,
  encodeBody,
  failureOf,
  isAlarm,
  messageOf,
  type ActorState,
  type Command,
  type Effect,
  type Gap,
  type MachineState,
  type StoredEvent,
  type Tell,
  type Timer,
} from "@ergon/core";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { taskOf } from "../dispatch/task-state.ts";
import type { NodeContext } from "../node-context.ts";
import { answeredOf } from "../serve/recorded-answer.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { Behaviour } from "../shard/behaviour.ts";
import { embeddedId } from "../shard/hosted-shard.ts";
import type { Embedding } from "../shard/hosting.ts";
import { endingOf } from "./ending.ts";
import type { Outbox } from "./outbox.ts";

/** What the rest of the node hears of an instance's changes. */
export interface InstanceListeners {
  stored(actor: LiveActor, ended: boolean): void;
  dropped(actor: LiveActor): void;
}

/** The behaviour of users' machines on their host: embeds their tasks, runs what runs in the node, and posts what goes to other actors. */
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

  /** Takes tasks into the record that the instance asked for, and those out of it that it does not want any more. */
  settle(actor: LiveActor): void {
    if (this.#host.wake(actor).snapshot.status !== "active")
      for (const key of [...(actor.embedded?.keys() ?? [])]) this.#withdraw(actor, key);
    if (actor.effects.length === 0) return;
    const asked = actor.takeEffects();
    const left: Effect[] = [];
    for (const effect of asked) {
      const command = effect.params as Command;
      if (command.type === "task") this.#embed(actor, command);
      else if (command.type === "stop") this.#withdraw(actor, command.key);
      else if (command.type !== "cancel") left.push(effect);
    }
    actor.addEffects(left);
    // Each may end its task at once, and that the instance again: what was asked for before is done by then.
    for (const { params } of asked) {
      const command = params as Command;
      if (command.type === "cancel") this.#cancel(actor, command);
    }
  }

  perform(actor: LiveActor, { params }: Effect): void {
    const command = params as Command;
    if (command.type === "local") command.run();
    else if (command.type === "emitted") this.#publish(actor, command.event);
  }

  /** An embedded task has ended: the actor that asked for it hears so in the same write. */
  taskEnded(actor: LiveActor, key: number, ended: ActorState): void {
    const host = this.#host;
    if (host.wake(actor).snapshot.status !== "active") return;
    const task = taskOf(ended);
    const event = { type: "ergon.task", key, ending: endingOf(task), answered: answeredOf(key, task) };
    host.orFail(actor, () => {
      host.transition(actor, event);
      this.settle(actor);
    });
  }

  /** A message that nobody will ever take: a child that could not be started has failed for who asked; everything else is lost with whom it was for. */
  undeliverable(actor: LiveActor, { key, to, what }: Tell, error: Error): void {
    const { logger } = this.#context;
    if (what.kind !== "start")
      return logger.info(
        { id: actor.id, to, kind: what.kind, reason: error.message },
        "a message has nobody to take it",
      );
    if (actor.state?.snapshot.status !== "active") return;
    this.#host.advance(actor, { type: "ergon.task", key, ending: { kind: "error", error: failureOf(error) } });
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

  /** What ran in the node runs again: at least once. */
  rolledBack(actor: LiveActor): void {
    const state = actor.state as MachineState | undefined;
    for (const command of state?.tree.takeCommands() ?? []) if (command.type === "local") command.run();
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

  /** An overdue timer of an instance may be the bound of a task or a durable child whose end is on its way. */
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
    // A machine's own timers bound what only the machine knows.
  }

  lingers(actor: LiveActor): boolean {
    return this.#outbox.holds(actor);
  }

  #embed(actor: LiveActor, { key, spec }: Command & { type: "task" }): void {
    const host = this.#host;
    const at = this.#context.clock.now();
    const id = embeddedId(actor.id, key);
    const { correlationId } = (host.wake(actor) as MachineState).meta;
    const task = { correlationId: correlationId ?? actor.id, ...spec, id };
    const agent = this.#dispatcher.agentFor(task);
    host.embed(actor, key, { spec: task, at, chance: this.#context.random(), agent }, at);
  }

  /** A task of the instance is to stop: its agent is told, and its end is heard, which may be now. */
  #cancel(actor: LiveActor, { key, reason }: Command & { type: "cancel" }): void {
    const host = this.#host;
    const task = actor.embedded?.get(key);
    if (task === undefined || !host.transition(task, { type: "cancel", by: actor.id, reason })) return;
    this.#dispatcher.settle(task);
    host.takeIn(task);
  }

  /** The state that invoked the task was left. Its agent is told once that is stored. */
  #withdraw(actor: LiveActor, key: number): void {
    const task = actor.embedded?.get(key);
    if (task === undefined) return;
    const { flight } = task;
    // Its agent is told once that is stored.
    const abort = { attempt: flight?.attempt, agent: flight?.agent, reason: "cancelled" };
    this.#host.unembed(task, flight?.agent === undefined ? [] : [{ type: "abort", params: abort }]);
    this.#dispatcher.dropped(task);
    // Its slot is free for another.
    if (task.state !== undefined && flight !== undefined) {
      const { driver } = taskOf(task.state);
      queueMicrotask(() => this.#dispatcher.pump(driver));
    }
  }

  #publish(actor: LiveActor, event: StoredEvent): void {
    const { ports, names, logger } = this.#context;
    try {
      ports.bus.publish(names.emitted(actor.machine.name, actor.id), encodeBody(event, JSON_TYPE));
    } catch (error) {
      // It is for whoever listens, and kept for nobody: too large a one is lost.
      logger.warn({ id: actor.id, event: event.type, reason: messageOf(error) }, "an emitted event was not published");
    }
  }
}
