import type { AnyMachineSnapshot, EventObject } from "xstate";

import { isMap, msgpack } from "../base/msgpack.ts";
import type { Machine, MachineRegistry } from "./machine.ts";
import type { ActorState, Timer } from "./step.ts";

/** The version byte that a record begins with. */
export const RECORD_VERSION = 1;

/** What the bucket holds for an actor, after the version byte. Unknown fields are kept in `rest`. */
export interface RecordFields {
  readonly machine: string;
  readonly version: string;
  readonly snapshot: PersistedSnapshot;
  readonly timers: readonly Timer[];
  readonly rest: Readonly<Record<string, unknown>> | undefined;
}

export interface PersistedSnapshot {
  readonly status: string;
  readonly value: unknown;
  readonly context: unknown;
}

/** Why a record cannot be used here; it is set aside and left as it is (B-21, M-13). */
export interface UnreadableRecord {
  readonly kind: "unreadable";
  readonly reason: string;
}

export interface ReadableRecord {
  readonly kind: "readable";
  readonly machine: Machine;
  readonly state: ActorState;
  readonly rest: Readonly<Record<string, unknown>> | undefined;
}

const VERSION_PREFIX = Buffer.of(RECORD_VERSION);

/** Encodes an actor's record: the version byte, then one MessagePack map (docs/protocol.md, "The record"). */
export function encodeRecord(
  machine: Machine,
  state: ActorState,
  rest?: Readonly<Record<string, unknown>>,
): Uint8Array {
  const { status, value, context } = state.snapshot;
  const fields = {
    ...rest,
    machine: machine.name,
    version: machine.version,
    snapshot: { status, value, context },
    timers: state.timers.map(encodeTimer),
  };
  return Buffer.concat([VERSION_PREFIX, msgpack.pack(fields)]);
}

/** Decodes a record for the machines that are known here. Never throws. */
export function decodeRecord(data: Uint8Array, machines: MachineRegistry): ReadableRecord | UnreadableRecord {
  const fields = decodeFields(data);
  if ("kind" in fields) return fields;
  if (!machines.has(fields.machine, fields.version)) {
    return { kind: "unreadable", reason: `machine ${fields.machine}@${fields.version} is not known here` };
  }
  const machine = machines.get(fields.machine, fields.version);
  try {
    const snapshot = machine.logic.resolveState(fields.snapshot as never) as AnyMachineSnapshot;
    return { kind: "readable", machine, state: { snapshot, timers: fields.timers }, rest: fields.rest };
  } catch (cause) {
    return { kind: "unreadable", reason: `its state does not fit the machine: ${String(cause)}` };
  }
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
  const { machine, version, snapshot, timers, ...rest } = raw;
  if (typeof machine !== "string" || typeof version !== "string")
    return { kind: "unreadable", reason: "no machine or version" };
  if (!isMap(snapshot) || typeof snapshot["status"] !== "string" || !isMap(snapshot["context"])) {
    return { kind: "unreadable", reason: "no snapshot" };
  }
  const decodedTimers = Array.isArray(timers) ? timers.map(decodeTimer) : [];
  if (decodedTimers.includes(undefined)) return { kind: "unreadable", reason: "a timer cannot be read" };
  return {
    machine,
    version,
    snapshot: { status: snapshot["status"], value: snapshot["value"], context: snapshot["context"] },
    timers: decodedTimers as Timer[],
    rest: Object.keys(rest).length === 0 ? undefined : rest,
  };
}

/** `[id, due]`, and the event where it is more than its type and that is not the id. */
function encodeTimer({ id, due, event }: Timer): unknown {
  return event.type === id && Object.keys(event).length === 1 ? [id, due] : [id, due, event];
}

function decodeTimer(raw: unknown): Timer | undefined {
  if (!Array.isArray(raw)) return undefined;
  const [id, due, event] = raw as unknown[];
  if (typeof id !== "string" || typeof due !== "number") return undefined;
  if (event === undefined) return { id, due, event: { type: id } };
  return isMap(event) && typeof event["type"] === "string"
    ? { id, due, event: event as unknown as EventObject }
    : undefined;
}
