import { TerminalError, messageOf, migrate, type Machine } from "@ergon/core";
import {
  decodeFields,
  decodeRecord,
  encodeRecord,
  machineEngine,
  taskMachine,
  type ActorState,
  type MachineRegistry,
  type ReadableRecord,
  type RecordFields,
  type Surroundings,
  type Timer,
  type UnreadableRecord,
} from "@ergon/core/engine";

import { NO_BYTES, type NodeContext } from "../node-context.ts";
import { LiveActor, type HomeShard } from "./actor.ts";
import type { Behaviour } from "./behaviour.ts";
import { packEmbedded, unpackEmbedded } from "./embedded.ts";
import { embeddedId, type HostedShard } from "./hosted-shard.ts";

/** The bytes of a message beside the record: subject and headers. */
const MESSAGE_OVERHEAD = 1_024;

export interface ActorRecordsOptions {
  readonly context: NodeContext;
  readonly machines: MachineRegistry;
  readonly behaviourOf: (machine: Machine) => Behaviour;
  readonly surroundings: (actor: LiveActor) => Surroundings;
}

/** Encodes actors as records, and decodes them. */
export class ActorRecords {
  readonly #options: ActorRecordsOptions;

  constructor(options: ActorRecordsOptions) {
    this.#options = options;
  }

  /** Returns the actor's present record, and the time for which the server keeps it. */
  encode(actor: LiveActor): { data: Uint8Array; ttlMs: number | undefined } {
    const { encoded, state } = actor;
    if (actor.erased || state === undefined) return { data: NO_BYTES, ttlMs: 1_000 };
    actor.encoded = undefined;
    const data = encoded?.sequence === actor.writing.sequence ? encoded.data : this.record(actor, state);
    const behaviour = this.#options.behaviourOf(actor.machine);
    // A record with undelivered messages must outlive every outage, so its retention begins after their delivery.
    actor.expires = state.snapshot.status !== "active" && !behaviour.lingers(actor);
    return { data, ttlMs: actor.expires ? behaviour.retentionMs(state) : undefined };
  }

  record({ machine, rest, embedded }: Pick<LiveActor, "machine" | "rest" | "embedded">, state: ActorState): Uint8Array {
    if (machine.engine === taskMachine.engine) return encodeRecord(machine, state, rest);
    const tasks = embedded === undefined || embedded.size === 0 ? undefined : packEmbedded(embedded);
    const idle = tasks === undefined && this.#options.behaviourOf(machine).parks(state);
    return encodeRecord(machine, state, rest, { tasks, idle });
  }

  /** Tells whether the actor's record fits a message. Records of tasks always fit, because the node limits what it takes into them. */
  fits(actor: LiveActor): boolean {
    const { machine, state, encoded, embedded } = actor;
    if (machine.engine === taskMachine.engine || state === undefined) return true;
    // The caller has just asked the same for this state.
    if (state === actor.fitting && encoded?.sequence === actor.writing.sequence + 1 && embedded === undefined)
      return true;
    const data = this.record(actor, state);
    actor.encoded = { sequence: actor.writing.sequence + 1, data };
    if (data.length > this.#mostBytes) return false;
    actor.fitting = state;
    return true;
  }

  /** Throws `TerminalError` (`RECORD_TOO_LARGE`), after `undo`, if the actor's record does not fit a message. `result` describes the outcome. */
  requireFit(actor: LiveActor, result: string, undo: () => void): void {
    if (this.fits(actor)) return;
    const message = `${this.tooLarge(actor)}; ${result}`;
    undo();
    throw new TerminalError("RECORD_TOO_LARGE", message);
  }

  /** Does the same for the actor as an instance of another machine. */
  fitsAs({ rest, embedded }: LiveActor, machine: Machine, state: ActorState): boolean {
    return this.record({ machine, rest, embedded }, state).length <= this.#mostBytes;
  }

  get #mostBytes(): number {
    return this.#options.context.ports.bus.maxMessageBytes - MESSAGE_OVERHEAD;
  }

  /** Explains why the host does not write the record that does not fit. */
  tooLarge(actor: LiveActor): string {
    const bytes = actor.encoded?.data.length ?? 0;
    // Drop the record of a step that has not happened, otherwise the next write could take it for its own.
    actor.encoded = undefined;
    return `the record of ${actor.id} would have ${bytes} bytes, more than one message holds; keep what is large elsewhere, and its place in the context`;
  }

  /** Makes a live actor from a record that a loading found. It skips ended actors and sets unreadable records aside. */
  restore(shard: HostedShard, id: string, data: Uint8Array): LiveActor | undefined {
    const fields = decodeFields(data);
    if ("kind" in fields) return this.setAside(shard, id, fields.reason);
    const { machines } = this.#options;
    const { machine: name, version, snapshot } = fields;
    if (isOver(fields)) return undefined;
    const isKnown = machines.has(name, version);
    const machine = isKnown ? machines.get(name, version) : machines.upgradeOf(name, version);
    if (machine === undefined || (!isKnown && snapshot.status !== "active")) {
      const missing = `${name}@${version}`;
      return this.setAside(shard, id, `machine ${missing} is not known here`, missing);
    }
    const reason = machine.engine.misshapen(machine, fields) ?? ofAnother(machine, fields, id);
    if (reason !== undefined) return this.setAside(shard, id, reason);
    const actor = new LiveActor(id, shard, machine, fields.rest);
    actor.committedAt = 1;
    actor.writing.restored();
    try {
      if (isKnown) this.#unpack(actor, fields, data);
      else this.#migrate(actor, fields);
    } catch (error) {
      return this.setAside(shard, id, `its state does not fit the machine: ${messageOf(error)}`);
    }
    return actor;
  }

  /** Unpacks a parked actor. */
  wake(actor: LiveActor): ReadableRecord | UnreadableRecord {
    const record = decodeRecord(actor.parked ?? NO_BYTES, this.#options.machines, this.#options.surroundings(actor));
    if (record.kind === "unreadable") return record;
    actor.hold(record.state);
    return record;
  }

  /** Keeps the actor as the bytes of its record. */
  park(actor: LiveActor, state: ActorState): void {
    // Keep a copy: an encoded record may be a slice of a larger buffer, which it would keep in memory.
    actor.park(new Uint8Array(this.record(actor, state)));
  }

  /** Makes a task that is embedded in an actor's record. */
  embedded(actor: LiveActor, key: number): LiveActor {
    const task = new LiveActor(embeddedId(actor.id, key), actor.shard, taskMachine);
    task.within = { actor, key };
    (actor.embedded ??= new Map()).set(key, task);
    return task;
  }

  setAside(shard: HomeShard, id: string, reason: string, missing?: string): undefined {
    shard.setAside(id, reason, missing);
    const { logger } = this.#options.context;
    logger.warn(
      { shard: shard.number, id, reason },
      "this node cannot read a record; it sets the record aside, unchanged",
    );
  }

  #unpack(actor: LiveActor, fields: RecordFields, data: Uint8Array): void {
    const { machine } = actor;
    if (fields.idle) {
      // The node builds its actors when an event first moves it.
      actor.park(new Uint8Array(data));
      actor.scheduledAt = machine.engine.startedAt(machine.engine.read(machine, fields));
      return;
    }
    this.#hold(actor, machine.engine.restore(machine, fields, this.#options.surroundings(actor)), fields);
  }

  /** This node does not know the version of the record, but knows a newer version that takes it over. */
  #migrate(actor: LiveActor, fields: RecordFields): void {
    const { clock } = this.#options.context;
    const { state, effects } = migrate(fields, actor.machine, clock.now(), this.#options.surroundings(actor));
    actor.addEffects(effects);
    actor.unsaved = true;
    this.#hold(actor, state, fields);
  }

  #hold(actor: LiveActor, state: ActorState, fields: RecordFields): void {
    actor.hold(state);
    actor.scheduledAt = actor.machine.engine.startedAt(state);
    for (const [key, raw] of Object.entries(fields.tasks ?? {})) {
      const task = this.embedded(actor, Number(key));
      const taskState = unpackEmbedded(task.id, raw);
      task.hold(taskState);
      task.scheduledAt = taskMachine.engine.startedAt(taskState);
    }
  }
}

/** Refuses a record under the id of another actor, because it would act in the name of that actor. */
function ofAnother({ engine }: Machine, fields: RecordFields, id: string): string | undefined {
  const own = engine.idOf(fields);
  return own === id ? undefined : `it is the record of ${String(own)}`;
}

/** Tells whether a record has no message left to deliver. The record of an instance shows this even if this node does not know its machine. */
function isOver(fields: RecordFields): boolean {
  const engine = fields.meta === undefined ? taskMachine.engine : machineEngine;
  return engine.isOver(fields);
}

/** The timers in the record of a parked actor. */
export function timersOf(parked: Uint8Array | undefined): readonly Timer[] {
  const fields = parked === undefined ? undefined : decodeFields(parked);
  return fields === undefined || "kind" in fields ? [] : fields.timers;
}
