import type { EventObject } from "xstate";

import { LAST_TIME } from "../base/clock.ts";
import { isMap, msgpack, packBehind } from "../base/msgpack.ts";
import type { Machine, Surroundings } from "./machine.ts";
import type { PersistedSnapshot, RecordFields } from "./record-fields.ts";
import type { MachineRegistry } from "./registry.ts";
import type { ActorState, Timer } from "./state.ts";

/** The version byte that a record begins with. */
export const RECORD_VERSION = 1;

/** Why a record cannot be used here; it is set aside and left as it is (B-21, M-13). */
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

/** Encodes an actor's record: the version byte, then one MessagePack map (docs/protocol.md, "The record"). */
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
 * Decodes a record for the machines that are known here. With `surroundings` the state is one to go on from, which may start what runs in the
 * process; without, one to be read. Never throws.
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

/** The machine of a record. A record that is only read may have a version that a newer one takes over, because ended actors keep their version. */
function machineOf(
  { machine, version }: RecordFields,
  machines: MachineRegistry,
  toGoOn: boolean,
): Machine | undefined {
  if (machines.has(machine, version)) return machines.get(machine, version);
  const newer = toGoOn ? undefined : machines.upgradeOf(machine, version);
  return newer === undefined ? undefined : { ...newer, version };
}

/** Reads a record's fields without knowing its machine. Never throws. */
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

/** The fields that an actor's record has, as {@link decodeFields} would read them. */
export function fieldsOf(machine: Machine, state: ActorState): RecordFields {
  const { name, version, engine } = machine;
  const { timers } = state;
  return { machine: name, version, ...engine.fields(state), timers, idle: false, rest: undefined };
}

/** The fields of a task that is embedded in a record; `undefined`: it is none. */
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

/** A record that 0.1.0 wrote has the alarm that a schedule waits for in its `meta`, and none in its timers. */
function formerAlarms(meta: unknown): Timer[] {
  const alarms = isMap(meta) ? meta["alarms"] : undefined;
  const dues = isMap(alarms) ? Object.values(alarms).filter((due) => isTime(due)) : [];
  return dues.map((due) => {
    const event = { type: "ergon.ended", ending: { kind: "done", output: due } };
    return { id: "ergon.alarm", due, event, source: ["alarm"] };
  });
}

/** `[id, due]`, the event where it is more than its type and that is not the id, and whose it is where that is not the machine itself. */
export function encodeTimer({ id, due, event, source, target }: Timer): unknown {
  if (source !== undefined) return target === undefined ? [id, due, event, source] : [id, due, event, source, target];
  return event.type === id && Object.keys(event).length === 1 ? [id, due] : [id, due, event];
}

/** Stored timers. `undefined`: one of them is none. */
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

/** A stored timer. `undefined`: it is none. */
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
