import type { EventObject } from "xstate";

import { LAST_TIME } from "../base/clock.ts";
import { isMap, msgpack, packBehind } from "../base/msgpack.ts";
import type { Machine, Surroundings } from "./machine.ts";
import type { PersistedSnapshot, RecordFields } from "./record-fields.ts";
import type { MachineRegistry } from "./registry.ts";
import type { ActorState, Timer } from "./state.ts";

/** The version byte with which a record begins. */
export const RECORD_VERSION = 1;

/** The reason why a record cannot be used here. A node sets such a record aside and leaves it unchanged (B-21, M-13). */
export interface UnreadableRecord {
  readonly kind: "unreadable";
  readonly reason: string;
}

export interface ReadableRecord {
  readonly kind: "readable";
  readonly machine: Machine;
  readonly state: ActorState;
  readonly tasks: RecordFields["tasks"];
  readonly rest: Readonly<Record<string, unknown>> | undefined;
}

/** Encodes an actor's record as the version byte and one MessagePack map (docs/protocol.md, "The record"). */
export function encodeRecord(
  machine: Machine,
  state: ActorState,
  rest?: Readonly<Record<string, unknown>>,
  inside?: { readonly tasks?: Readonly<Record<string, unknown>> | undefined; readonly idle?: boolean },
): Uint8Array {
  const fields = {
    ...rest,
    machine: machine.name,
    version: machine.version,
    ...machine.engine.fields(state),
    timers: state.timers.map(encodeTimer),
    ...inside,
  };
  return packBehind(RECORD_VERSION, fields);
}

/**
 * Decodes a record with the machines that are known here. The state of a call with `surroundings` can go on, and may start actors in this process;
 * the state of a call without them can only be read. Never throws.
 */
export function decodeRecord(
  data: Uint8Array,
  machines: MachineRegistry,
  surroundings?: Surroundings,
): ReadableRecord | UnreadableRecord {
  const fields = decodeFields(data);
  if ("kind" in fields) return fields;
  const machine = machineOf(fields, machines, surroundings !== undefined);
  if (machine === undefined)
    return { kind: "unreadable", reason: `machine ${fields.machine}@${fields.version} is not known here` };
  const { engine } = machine;
  const reason = engine.misshapen(machine, fields);
  if (reason !== undefined) return { kind: "unreadable", reason };
  try {
    const state =
      surroundings === undefined ? engine.read(machine, fields) : engine.restore(machine, fields, surroundings);
    return { kind: "readable", machine, state, tasks: fields.tasks, rest: fields.rest };
  } catch (cause) {
    return { kind: "unreadable", reason: `its state does not fit the machine: ${String(cause)}` };
  }
}

/**
 * Returns the machine of a record. A record that is only read may use a newer version that takes over its instances, because ended actors keep their
 * version.
 */
function machineOf(
  { machine, version }: RecordFields,
  machines: MachineRegistry,
  toGoOn: boolean,
): Machine | undefined {
  if (machines.has(machine, version)) return machines.get(machine, version);
  const newer = toGoOn ? undefined : machines.upgradeOf(machine, version);
  return newer === undefined ? undefined : { ...newer, version };
}

/** Reads a record's fields without its machine. Never throws. */
export function decodeFields(data: Uint8Array): RecordFields | UnreadableRecord {
  if (data[0] !== RECORD_VERSION)
    return { kind: "unreadable", reason: `record version ${data[0] ?? "missing"} is not known here` };
  let raw: unknown;
  try {
    raw = msgpack.unpack(data.subarray(1));
  } catch (cause) {
    return { kind: "unreadable", reason: `not MessagePack: ${String(cause)}` };
  }
  if (!isMap(raw)) return { kind: "unreadable", reason: "not a map" };
  const { machine, version, snapshot, timers, meta, tasks, idle, ...rest } = raw;
  if (typeof machine !== "string" || typeof version !== "string")
    return { kind: "unreadable", reason: "no machine or version" };
  if (!isSnapshot(snapshot)) return { kind: "unreadable", reason: "no snapshot" };
  const decodedTimers = decodeTimers(timers);
  if (decodedTimers === undefined) return { kind: "unreadable", reason: "a timer cannot be read" };
  if (tasks !== undefined && !isMap(tasks)) return { kind: "unreadable", reason: "its embedded tasks are no map" };
  const alarms = formerAlarms(meta);
  return {
    machine,
    version,
    snapshot,
    timers: alarms.length === 0 ? decodedTimers : [...decodedTimers, ...alarms],
    meta,
    tasks,
    idle: idle === true && tasks === undefined,
    rest: Object.keys(rest).length === 0 ? undefined : rest,
  };
}

/** Returns the fields of an actor's record, as {@link decodeFields} would read them. */
export function fieldsOf(machine: Machine, state: ActorState): RecordFields {
  const { name, version, engine } = machine;
  const { timers } = state;
  return { machine: name, version, ...engine.fields(state), timers, idle: false, rest: undefined };
}

/** Returns the fields of a task that is embedded in a record, or `undefined` when `raw` is no task. */
export function embeddedFields({ name, version }: Machine, raw: unknown): RecordFields | undefined {
  if (!isMap(raw)) return undefined;
  const { snapshot } = raw;
  const timers = decodeTimers(raw["timers"]);
  if (timers === undefined || !isSnapshot(snapshot)) return undefined;
  return { machine: name, version, snapshot, timers, idle: false, rest: undefined };
}

function isSnapshot(raw: unknown): raw is PersistedSnapshot {
  return isMap(raw) && typeof raw["status"] === "string" && isMap(raw["context"]);
}

function isEvent(raw: unknown): raw is EventObject {
  return isMap(raw) && typeof raw["type"] === "string";
}

/** Reads the alarm of a schedule from `meta`, where 0.1.0 wrote it. Later versions write it as a timer. */
function formerAlarms(meta: unknown): Timer[] {
  const alarms = isMap(meta) ? meta["alarms"] : undefined;
  const dues = isMap(alarms) ? Object.values(alarms).filter((due) => isTime(due)) : [];
  return dues.map((due) => {
    const event = { type: "ergon.ended", ending: { kind: "done", output: due } };
    return { id: "ergon.alarm", due, event, source: ["alarm"] };
  });
}

/** Encodes a timer as `[id, due]`. The event follows if it is more than a type that equals the id, and the owner follows if it is not the machine itself. */
export function encodeTimer({ id, due, event, source, target }: Timer): unknown {
  if (source !== undefined) return target === undefined ? [id, due, event, source] : [id, due, event, source, target];
  return event.type === id && Object.keys(event).length === 1 ? [id, due] : [id, due, event];
}

/** Decodes stored timers. Returns `undefined` if one of them is malformed. */
export function decodeTimers(raw: unknown): readonly Timer[] | undefined {
  if (!Array.isArray(raw)) return undefined;
  const timers: Timer[] = [];
  for (const one of raw) {
    const timer = decodeTimer(one);
    if (timer === undefined) return undefined;
    timers.push(timer);
  }
  return timers;
}

/** Decodes a stored timer. Returns `undefined` if it is malformed. */
export function decodeTimer(raw: unknown): Timer | undefined {
  if (!Array.isArray(raw)) return undefined;
  const [id, due, event, source, target] = raw as unknown[];
  if (typeof id !== "string" || !isTime(due)) return undefined;
  if (event === undefined) return { id, due, event: { type: id } };
  if (!isEvent(event)) return undefined;
  const timer = { id, due, event };
  if (source === undefined) return timer;
  if (!isPath(source)) return undefined;
  if (target === undefined) return { ...timer, source };
  return isPath(target) ? { ...timer, source, target } : undefined;
}

function isTime(raw: unknown): raw is number {
  return typeof raw === "number" && Math.abs(raw) <= LAST_TIME;
}

function isPath(raw: unknown): raw is readonly string[] {
  return Array.isArray(raw) && raw.every((id) => typeof id === "string");
}
