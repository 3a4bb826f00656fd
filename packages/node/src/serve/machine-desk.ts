import {
  ConflictError,
  H,
  InvalidError,
  MSGPACK_TYPE,
  UnavailableError,
  acceptedEvents,
  canTake,
  decodeBody,
  encodeBody,
  eventMemory,
  fingerprintOf,
  fromPlain,
  hasRoomFor,
  hasSeen,
  isMachineState,
  machineLimits,
  messageOf,
  parseEvent,
  sameValue,
  type ActorState,
  type Machine,
  type MachineEvent,
  type MachineInput,
  type MachineRecordState,
  type MachineRegistry,
  type MachineState,
  type Message,
  type ParentLink,
  type StartSpec,
  type Tell,
} from "@ergon/core";

import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { EventWithoutTime, LiveActor } from "../shard/actor.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Versioned } from "../shard/hosting.ts";
import type { Settled } from "../shard/writing.ts";
import type { AdmissionDesk } from "./admission-desk.ts";
import { askingOf } from "./asking.ts";
import type { Listeners } from "./listeners.ts";
import { Lookups } from "./lookups.ts";
import { requirePlace } from "./places.ts";
import { isLeaving, moved, notFound, refused, setAside } from "./refusals.ts";
import { readStored } from "./stored-tasks.ts";
import type { TaskDesk } from "./task-desk.ts";
import type { UnknownMachines } from "./unknown-machines.ts";

/** Events that one instance has taken, and that are not stored: each keeps its message and what followed from it in memory. */
const MOST_UNSTORED = 1_000;

/** What has become of a start. */
export type Started =
  | { readonly kind: "started"; readonly actor: LiveActor | undefined; readonly state: ActorState }
  | { readonly kind: "refused"; readonly error: unknown };

/** Starts instances of users' machines in the shards that this node serves, and brings them their events. */
export class MachineDesk {
  readonly #context: NodeContext;
  readonly #host: Versioned;
  readonly #listeners: Listeners;
  readonly #tasks: TaskDesk;
  readonly #admissions: AdmissionDesk;
  readonly #machines: MachineRegistry;
  readonly #strangers: UnknownMachines;
  readonly #lookups = new Lookups();

  constructor(
    context: NodeContext,
    host: Versioned,
    listeners: Listeners,
    tasks: TaskDesk,
    admissions: AdmissionDesk,
    machines: MachineRegistry,
    strangers: UnknownMachines,
  ) {
    this.#strangers = strangers;
    this.#context = context;
    this.#host = host;
    this.#listeners = listeners;
    this.#tasks = tasks;
    this.#admissions = admissions;
    this.#machines = machines;
  }

  /** Answers a start that a client, or another node for it, has asked for. */
  answerStart(shard: HostedShard, id: string, spec: StartSpec, message: Message, fresh: boolean): void {
    const machine = this.#machineOf(spec);
    if (machine !== undefined) requirePlace(message, machine);
    this.start(shard, id, spec, fresh, (outcome) => {
      if (outcome.kind === "refused") return this.#listeners.fail(message.reply, outcome.error);
      if (message.reply !== undefined) this.#tasks.answerOrWait(message, shard, outcome.actor, outcome.state);
    });
  }

  /** Starts an instance, or finds it: an id that is taken by another machine, or by another input, is a conflict. `fresh`: nobody else has the id. */
  start(shard: HostedShard, id: string, spec: StartSpec, fresh: boolean, done: (outcome: Started) => void): void {
    const live = shard.actors.get(id);
    if (live !== undefined) return this.#meet(live, spec, done);
    const aside = setAside(shard, id);
    if (aside !== undefined) return done({ kind: "refused", error: aside });
    if (fresh) return this.#create(shard, id, spec, done);
    void this.#lookups.run(
      id,
      () => this.#createUnlessStored(shard, id, spec, done),
      () => this.start(shard, id, spec, false, done),
    );
  }

  /** An event of a client, or the question which events are taken. */
  async take(shard: HostedShard, verb: "send" | "can", id: string, message: Message): Promise<void> {
    const actor = shard.actors.get(id);
    if (actor === undefined) return this.#takeEnded(shard, verb, id, message);
    const state = this.#host.current(actor);
    if (!isMachineState(state))
      throw new ConflictError("EVENT_NOT_ACCEPTED", `${id} is a task: it takes no events; cancel or end it`);
    if (verb === "send") requirePlace(message, state.machine);
    if (verb === "can") return this.#answerCan(message, state, acceptedEvents(state));
    this.#send(actor, state as MachineState, message);
  }

  /** Moves an instance to another version of its machine: to the one that is named, or to the newest that takes it over. */
  async migrate(shard: HostedShard, id: string, message: Message): Promise<void> {
    const actor = shard.actors.get(id);
    if (actor === undefined) return this.#takeEnded(shard, "send", id, message);
    if (!isMachineState(this.#host.wake(actor)))
      throw new ConflictError("MIGRATION_FAILED", `${id} is a task: it has one version`);
    const { name, version } = actor.machine;
    const wanted = message.header(H.machineVersion) ?? this.#machines.upgradeOf(name, version)?.version ?? version;
    if (!this.#machines.has(name, wanted)) throw this.#strangers.refuse(shard, name, wanted);
    if (wanted !== version) this.#host.migrate(actor, this.#machines.get(name, wanted));
    this.#host.whenStored(actor, (refusal) => {
      const stored = this.#host.committed(actor);
      if (refusal !== undefined) this.#listeners.fail(message.reply, refused(refusal));
      else if (message.reply !== undefined && stored !== undefined)
        this.#tasks.answerOrWait(message, shard, actor, stored);
    });
  }

  /**
   * A message of another durable actor. It is answered once what follows from it is stored; a repeated one does nothing more. `requireRoom` throws
   * where nothing new can be taken.
   */
  async tell(shard: HostedShard, id: string, message: Message, requireRoom: () => void): Promise<void> {
    const { from, tell } = decodeTell(message);
    const { what, key } = tell;
    const accept = (): void => {
      if (message.reply !== undefined) this.#context.ports.bus.publish(message.reply, NO_BYTES);
    };
    if (what.kind === "start") {
      requireRoom();
      return this.#startChild(shard, id, { from, key, child: what.child }, message, accept);
    }
    const actor = shard.actors.get(id);
    if (actor === undefined) {
      // It has ended, and is deaf; what is not there at all never was.
      if ((await readStored(this.#context, this.#machines, shard, id)) === undefined) throw notFound(id);
      return accept();
    }
    const isMachine = isMachineState(this.#host.wake(actor));
    const event: EventWithoutTime = isMachine
      ? { type: "ergon.told", from, tell }
      : { type: "cancel", by: from, reason: what.kind === "stop" ? what.reason : "" };
    if (!isMachine && what.kind !== "stop") return accept();
    const settled: Settled = (refusal) => {
      if (refusal === undefined) accept();
      else this.#listeners.fail(message.reply, refused(refusal));
    };
    if (!this.#host.advance(actor, event, settled)) this.#host.whenStored(actor, settled);
  }

  #startChild(
    shard: HostedShard,
    id: string,
    { from, key, child }: { from: string; key: number; child: (Tell["what"] & { kind: "start" })["child"] },
    message: Message,
    accept: () => void,
  ): void {
    const done = (outcome: { readonly kind: string; readonly error?: unknown }): void => {
      if (outcome.kind === "refused") this.#listeners.fail(message.reply, outcome.error);
      else accept();
    };
    if (child.spec !== undefined)
      return this.#admissions.submit(shard, { ...child.spec, id, parent: { id: from, key } }, false, done);
    const { machine, version, input, sync, retentionMs, correlationId, depth } = child;
    if (depth !== undefined && depth > machineLimits.depth)
      throw new InvalidError("INVALID_OPTION", `${id} would have ${depth} parents; ${machineLimits.depth} are allowed`);
    const parent = { id: from, key, sync, depth };
    this.start(shard, id, { machine, version, input, retentionMs, correlationId, parent }, false, done);
  }

  #send(actor: LiveActor, state: MachineState, message: Message): void {
    const event = parseEvent(message);
    const id = message.header(H.eventId);
    if (id !== undefined && (id === "" || id.length > machineLimits.eventIdLength))
      throw new InvalidError("INVALID_OPTION", `${H.eventId}: must be 1 to ${machineLimits.eventIdLength} characters`);
    const answer: Settled = (refusal) => {
      if (refusal !== undefined) return this.#listeners.fail(message.reply, refused(refusal));
      const stored = this.#host.committed(actor);
      if (message.reply !== undefined && stored !== undefined)
        this.#tasks.answerOrWait(message, actor.shard, actor, stored);
    };
    if (actor.writing.sequence - actor.writing.stored >= MOST_UNSTORED)
      throw new UnavailableError("OVERLOADED", `${MOST_UNSTORED} events of ${actor.id} wait to be stored; ask again`, {
        retryAfterMs: 200,
      });
    if (id !== undefined && hasSeen(state.meta, id)) return this.#host.whenStored(actor, answer);
    if (state.meta.status !== "running") throw ended(state);
    if (!canTake(state.snapshot, event)) throw notAccepted(state, event.type);
    if (id !== undefined && !hasRoomFor(state.meta, id, this.#context.clock.now())) throw memoryFull(state.meta.id);
    const happening: Omit<MachineEvent & { type: "ergon.event" }, "at"> = { type: "ergon.event", event, id };
    if (!this.#host.sendTo(actor, state, happening as EventWithoutTime, answer)) this.#host.whenStored(actor, answer);
  }

  /** What has ended takes nothing more. */
  async #takeEnded(shard: HostedShard, verb: "send" | "can", id: string, message: Message): Promise<void> {
    const state = await readStored(this.#context, this.#machines, shard, id);
    if (state === undefined) throw notFound(id);
    if (!isMachineState(state)) throw new ConflictError("TASK_ENDED", `task ${id} has ended`);
    if (verb === "can") return this.#answerCan(message, state, []);
    // The repetition of an event that ended it, whose answer was lost.
    const event = message.header(H.eventId);
    if (event === undefined || !hasSeen(state.meta, event)) throw ended(state);
    if (message.reply !== undefined) this.#tasks.answerOrWait(message, shard, undefined, state);
  }

  #answerCan(message: Message, state: MachineRecordState, events: readonly string[]): void {
    if (message.reply === undefined) return;
    const { accept } = askingOf(message);
    const body = {
      id: state.meta.id,
      status: state.meta.status,
      value: state.persisted.value,
      events,
    };
    this.#context.ports.bus.publish(message.reply, encodeBody(body, accept), { headers: { [H.contentType]: accept } });
  }

  #meet(actor: LiveActor, spec: StartSpec, done: (outcome: Started) => void): void {
    this.#host.whenStored(actor, (refusal) => {
      if (refusal !== undefined) return done({ kind: "refused", error: refused(refusal) });
      const state = this.#host.committed(actor);
      done(state === undefined ? { kind: "refused", error: moved(actor.shard) } : existing(actor, state, spec));
    });
  }

  async #createUnlessStored(
    shard: HostedShard,
    id: string,
    spec: StartSpec,
    done: (outcome: Started) => void,
  ): Promise<void> {
    let state: ActorState | undefined;
    try {
      state = await readStored(this.#context, this.#machines, shard, id);
    } catch (error) {
      return done({ kind: "refused", error });
    }
    if (isLeaving(shard)) done({ kind: "refused", error: moved(shard) });
    else if (state !== undefined) done(existing(undefined, state, spec));
    else this.#create(shard, id, spec, done);
  }

  /** The machine that a start means; `undefined`: it is not known here. */
  #machineOf({ machine: name, version }: StartSpec): Machine | undefined {
    if (version === undefined)
      return this.#machines.startable().includes(name) ? this.#machines.newest(name) : undefined;
    return this.#machines.has(name, version) ? this.#machines.get(name, version) : undefined;
  }

  #create(shard: HostedShard, id: string, spec: StartSpec, done: (outcome: Started) => void): void {
    const { machine: name, version, ...given } = spec;
    const machine = this.#machineOf(spec);
    if (machine === undefined) return done({ kind: "refused", error: this.#strangers.refuse(shard, name, version) });
    const at = this.#context.clock.now();
    try {
      machine.checkInput?.(fromPlain(given.input));
      const input: MachineInput = { ...given, at, fingerprint: fingerprintOf(name, meaningOf(machine, spec)) };
      const actor = this.#host.create(shard, id, machine, input, at, (refusal) => {
        const state = this.#host.committed(actor);
        if (refusal !== undefined) done({ kind: "refused", error: refused(refusal) });
        else if (state === undefined) done({ kind: "refused", error: moved(shard) });
        else done({ kind: "started", actor, state });
      });
    } catch (error) {
      this.#context.logger.debug({ id, machine: name, reason: messageOf(error) }, "an instance could not be started");
      done({ kind: "refused", error });
    }
  }
}

function existing(actor: LiveActor | undefined, state: ActorState, spec: StartSpec): Started {
  try {
    if (isMachineState(state) && isSameStart(state, spec)) return { kind: "started", actor, state };
  } catch (error) {
    return { kind: "refused", error };
  }
  const message = `the id is taken by another task or instance, or by one with another input; choose another id`;
  return { kind: "refused", error: new ConflictError("ID_CONFLICT", message) };
}

/** Whether an instance is what the start asks for. Throws `InvalidError` when the start has faults. */
function isSameStart(state: MachineRecordState, spec: StartSpec): boolean {
  const { machine, meta } = state;
  if (machine.name !== spec.machine || !sameParent(meta.parent, spec.parent)) return false;
  const meaning = meaningOf(machine, spec);
  if (machine.inForce !== undefined) return sameValue(machine.inForce(state), meaning);
  return meta.fingerprint === fingerprintOf(machine.name, meaning);
}

function meaningOf({ meaning }: Machine, { input }: StartSpec): unknown {
  return meaning === undefined ? input : meaning(input);
}

/** One parent may start several children under an id that it chose itself: each is the answer to one of its questions only. */
function sameParent(a: ParentLink | undefined, b: ParentLink | undefined): boolean {
  return a?.id === b?.id && a?.key === b?.key;
}

function ended(state: { readonly meta: MachineState["meta"] }): ConflictError {
  return new ConflictError("TASK_ENDED", `${state.meta.id} has ended: ${state.meta.status}`);
}

/** To take it would be to forget another that its sender may still repeat. */
function memoryFull(id: string): UnavailableError {
  const message = `${id} remembers the ids of ${eventMemory.most} events of the last ${eventMemory.ms / 60_000} minutes and can remember no further one yet; number a sender's ids (a-1, a-2, …), which takes no room, or send less often`;
  return new UnavailableError("OVERLOADED", message, { retryAfterMs: 1_000 });
}

function notAccepted(state: MachineState, type: string): ConflictError {
  const events = acceptedEvents(state);
  const those = events.length === 0 ? "none" : events.join(", ");
  return new ConflictError(
    "EVENT_NOT_ACCEPTED",
    `${state.meta.id} takes no event "${type.slice(0, 64)}" in its present state; it takes: ${those}`,
    { issues: [{ field: "event", code: "EVENT_NOT_ACCEPTED", message: those }] },
  );
}

function decodeTell(message: Message): { from: string; tell: Tell } {
  const { from, tell } = decodeBody(message.data, MSGPACK_TYPE) as { from?: string; tell?: Tell };
  if (typeof from !== "string" || typeof tell?.seq !== "number" || typeof tell.what?.kind !== "string")
    throw new InvalidError("INVALID_BODY", "the body is not a message of another actor");
  if (tell.what.kind === "start" && typeof tell.what.child?.machine !== "string")
    throw new InvalidError("INVALID_BODY", "the body does not say what is to be started");
  return { from, tell };
}

/** A start on its way from the node that took it to the owner of its shard. */
export function encodeStart(spec: StartSpec): Uint8Array {
  return encodeBody({ spec }, MSGPACK_TYPE);
}

/** Throws `InvalidError` when the body is not a start. */
export function decodeStart(data: Uint8Array): StartSpec {
  const { spec } = decodeBody(data, MSGPACK_TYPE) as { spec?: StartSpec };
  if (typeof spec?.machine !== "string" || typeof spec.retentionMs !== "number")
    throw new InvalidError("INVALID_BODY", "the body is not the start of an instance");
  return spec;
}
