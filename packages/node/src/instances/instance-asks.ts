import { messageOf } from "@ergon/core";
import { JSON_TYPE, encodeBody, taskOf, type AskHost, type MachineState, type StoredEvent } from "@ergon/core/engine";
import type { TaskSpec } from "@ergon/core/engine";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import type { NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import { embeddedId } from "../shard/hosted-shard.ts";
import type { Embedding } from "../shard/hosting.ts";

/** Performs the asks of one instance. */
export class InstanceAsks implements AskHost {
  readonly #context: NodeContext;
  readonly #host: Embedding;
  readonly #dispatcher: Dispatcher;
  readonly #actor: LiveActor;

  constructor(context: NodeContext, host: Embedding, dispatcher: Dispatcher, actor: LiveActor) {
    this.#context = context;
    this.#host = host;
    this.#dispatcher = dispatcher;
    this.#actor = actor;
  }

  embed(key: number, spec: Omit<TaskSpec, "id">): void {
    const actor = this.#actor;
    const at = this.#context.clock.now();
    const id = embeddedId(actor.id, key);
    const { correlationId } = (this.#host.wake(actor) as MachineState).meta;
    const task = { correlationId: correlationId ?? actor.id, ...spec, id };
    const agent = this.#dispatcher.agentFor(task);
    this.#host.embed(actor, key, { spec: task, at, chance: this.#context.random(), agent }, at);
  }

  /** Tells the agent of the task to stop, after the cancel is stored. Nobody hears about the end of the task. */
  withdraw(key: number): void {
    const task = this.#actor.embedded?.get(key);
    if (task === undefined) return;
    const { flight } = task;
    const abort = { attempt: flight?.attempt, agent: flight?.agent, reason: "cancelled" };
    this.#host.unembed(task, flight?.agent === undefined ? [] : [{ type: "abort", params: abort }]);
    this.#dispatcher.dropped(task);
    // Another task can take the slot.
    if (task.state !== undefined && flight !== undefined) {
      const { driver } = taskOf(task.state);
      queueMicrotask(() => this.#dispatcher.pump(driver));
    }
  }

  /** Tells the agent of the task to stop. The instance hears about the end of the task, which may come within this call. */
  cancel(key: number, reason: string): void {
    const task = this.#actor.embedded?.get(key);
    if (task === undefined || !this.#host.transition(task, { type: "cancel", by: this.#actor.id, reason })) return;
    this.#dispatcher.prepare(task);
    this.#host.takeIn(task);
  }

  /** Publishes an event for everybody who listens now. Nobody keeps the event. */
  publish(event: StoredEvent): void {
    const { ports, names, logger } = this.#context;
    const { id, machine } = this.#actor;
    try {
      ports.bus.publish(names.emitted(machine.name, id), encodeBody(event, JSON_TYPE));
    } catch (error) {
      // The node drops an event that is too large for a message.
      logger.warn(
        { id, event: event.type, reason: messageOf(error) },
        "an emitted event could not be published; it is not sent again",
      );
    }
  }
}
