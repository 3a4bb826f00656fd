import { ConflictError, InvalidError, UnavailableError, type Message } from "@ergon/core";
import {
  H,
  acceptedEvents,
  canTake,
  eventMemory,
  hasRoomFor,
  hasSeen,
  isMachineState,
  machineLimits,
  parseEvent,
  type ActorState,
  type Asking,
  type MachineEvent,
  type MachineRecordState,
  type MachineRegistry,
  type MachineState,
} from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { EventWithoutTime, LiveActor } from "../shard/actor.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Versioned } from "../shard/hosting.ts";
import type { Listeners } from "./listeners.ts";
import { readStored } from "./read-stored.ts";
import { notFound } from "./refusals.ts";
import type { Replies } from "./replies.ts";
import type { UnknownMachines } from "./unknown-machines.ts";
import { requireTarget } from "./wait-target.ts";

/** The most events that one instance has taken and the node has not stored. Each keeps its message and its effects in memory. */
const MOST_UNSTORED = 1_000;

export interface InstanceEventsParts {
  readonly host: Versioned;
  readonly machines: MachineRegistry;
  readonly unknown: UnknownMachines;
  readonly replies: Replies;
  readonly listeners: Listeners;
}

/** Brings clients' events to instances (`send`), lists the events that they take (`can`), and moves them to other versions (`migrate`). */
export class InstanceEvents {
  readonly #context: NodeContext;
  readonly #parts: InstanceEventsParts;

  constructor(context: NodeContext, parts: InstanceEventsParts) {
    this.#context = context;
    this.#parts = parts;
  }

  serve(
    shard: HostedShard,
    verb: "send" | "can" | "migrate",
    id: string,
    message: Message,
    asking: Asking,
  ): Promise<void> {
    if (verb === "send") return this.#send(shard, id, message, asking);
    return verb === "can" ? this.#can(shard, id, asking) : this.#migrate(shard, id, message, asking);
  }

  async #send(shard: HostedShard, id: string, message: Message, asking: Asking): Promise<void> {
    const actor = shard.actors.get(id);
    if (actor === undefined) return this.#sendToEnded(shard, id, message.header(H.eventId), asking);
    const state = this.#parts.host.current(actor);
    requireInstance(state, id);
    requireTarget(asking.until, state.machine);
    this.#deliver(actor, state as MachineState, message, asking);
  }

  /** Answers with the events that an instance takes in its present state. */
  async #can(shard: HostedShard, id: string, asking: Asking): Promise<void> {
    const { host, replies } = this.#parts;
    const actor = shard.actors.get(id);
    const state = actor === undefined ? await this.#endedState(shard, id) : host.current(actor);
    requireInstance(state, id);
    const { meta, persisted } = state;
    const events = actor === undefined ? [] : acceptedEvents(state);
    replies.send(asking, { id: meta.id, status: meta.status, value: persisted.value, events });
  }

  /** Moves an instance to the named version of its machine, or to the newest version that takes it over. */
  async #migrate(shard: HostedShard, id: string, message: Message, asking: Asking): Promise<void> {
    const { host, machines, unknown, replies } = this.#parts;
    const actor = shard.actors.get(id);
    if (actor === undefined) throw ended(await this.#endedState(shard, id));
    if (!isMachineState(host.wake(actor)))
      throw new ConflictError("MIGRATION_FAILED", `${id} is a task: only instances of machines can be migrated`);
    const { name, version } = actor.machine;
    const wanted = message.header(H.machineVersion) ?? machines.upgradeOf(name, version)?.version ?? version;
    if (!machines.has(name, wanted)) throw unknown.refuse(shard, name, wanted);
    if (wanted !== version) host.migrate(actor, machines.get(name, wanted));
    host.whenStored(
      actor,
      replies.onceStored(asking.reply, () => this.#answer(actor, asking)),
    );
  }

  #deliver(actor: LiveActor, state: MachineState, message: Message, asking: Asking): void {
    const { host, replies } = this.#parts;
    const event = parseEvent(message);
    const id = message.header(H.eventId);
    if (id !== undefined && (id === "" || id.length > machineLimits.eventIdLength))
      throw new InvalidError("INVALID_OPTION", `${H.eventId}: must be 1 to ${machineLimits.eventIdLength} characters`);
    const answer = replies.onceStored(asking.reply, () => this.#answer(actor, asking));
    if (actor.writing.sequence - actor.writing.stored >= MOST_UNSTORED)
      throw new UnavailableError(
        "OVERLOADED",
        `${MOST_UNSTORED} events of ${actor.id} wait to be stored; send the event again later`,
        {
          retryAfterMs: 200,
        },
      );
    if (id !== undefined && hasSeen(state.meta, id)) return host.whenStored(actor, answer);
    if (state.meta.status !== "running") throw ended(state);
    if (!canTake(state.snapshot, event)) throw notAccepted(state, event.type);
    if (id !== undefined && !hasRoomFor(state.meta, id, this.#context.clock.now())) throw memoryFull(state.meta.id);
    const happening: Omit<MachineEvent & { type: "ergon.event" }, "at"> = { type: "ergon.event", event, id };
    if (!host.sendTo(actor, state, happening as EventWithoutTime, answer)) host.whenStored(actor, answer);
  }

  #answer(actor: LiveActor, asking: Asking): void {
    const stored = this.#parts.host.committed(actor);
    if (stored !== undefined) this.#parts.listeners.answerOrWait(asking, actor.shard.number, actor, stored);
  }

  /** An ended instance takes no event. If the sender repeats an event that the instance has taken, because the answer was lost, the node answers it again. */
  async #sendToEnded(shard: HostedShard, id: string, event: string | undefined, asking: Asking): Promise<void> {
    const state = await this.#endedState(shard, id);
    if (event === undefined || !hasSeen(state.meta, event)) throw ended(state);
    this.#parts.listeners.answerOrWait(asking, shard.number, undefined, state);
  }

  async #endedState(shard: HostedShard, id: string): Promise<MachineRecordState> {
    const state = await readStored(this.#context, this.#parts.machines, shard, id);
    if (state === undefined) throw notFound(id);
    if (!isMachineState(state)) throw new ConflictError("TASK_ENDED", `task ${id} has ended`);
    return state;
  }
}

function requireInstance(state: ActorState, id: string): asserts state is MachineRecordState {
  if (!isMachineState(state))
    throw new ConflictError("EVENT_NOT_ACCEPTED", `${id} is a task and accepts no events; cancel or end it instead`);
}

function ended(state: { readonly meta: MachineState["meta"] }): ConflictError {
  return new ConflictError("TASK_ENDED", `${state.meta.id} has ended: ${state.meta.status}`);
}

/** If the instance took this event, it would forget another event that its sender may still repeat. */
function memoryFull(id: string): UnavailableError {
  const message = `${id} remembers the ids of ${eventMemory.most} events of the last ${eventMemory.ms / 60_000} minutes and can remember no further one yet; number a sender's ids (a-1, a-2, …), which takes no room, or send less often`;
  return new UnavailableError("OVERLOADED", message, { retryAfterMs: 1_000 });
}

function notAccepted(state: MachineState, type: string): ConflictError {
  const events = acceptedEvents(state);
  const those = events.length === 0 ? "none" : events.join(", ");
  return new ConflictError(
    "EVENT_NOT_ACCEPTED",
    `${state.meta.id} does not accept the event "${type.slice(0, 64)}" in its present state; it accepts: ${those}`,
    { issues: [{ field: "event", code: "EVENT_NOT_ACCEPTED", message: those }] },
  );
}
