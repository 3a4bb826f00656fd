import { __unsafe_getAllOwnEventDescriptors, type AnyMachineSnapshot, type EventObject } from "xstate";

import type { Machine } from "../actor/machine.ts";
import type { PersistedSnapshot } from "../actor/record-fields.ts";
import type { ActorState } from "../actor/state.ts";
import { TerminalError, messageOf } from "../base/errors.ts";
import { canOnce } from "./choice.ts";
import type { MachineMeta } from "./machine-meta.ts";
import type { ActorTree } from "./tree.ts";

/** An instance as its record holds it. */
export interface MachineRecordState extends ActorState {
  readonly snapshot: AnyMachineSnapshot;
  readonly machine: Machine;
  /** The snapshot as records hold it. */
  readonly persisted: PersistedTree;
  readonly meta: MachineMeta;
}

/** An instance between two steps. Only the tree changes in place. */
export interface MachineState extends MachineRecordState {
  readonly tree: ActorTree;
}

/** The snapshot of an instance, as records hold it. */
export interface PersistedTree extends PersistedSnapshot {
  readonly output?: unknown;
  readonly error?: unknown;
  readonly children?: Readonly<Record<string, unknown>>;
}

/** Formats a state value as one text, for example `paying`, `order.paying` or `{a.x, b.y}`. */
export function stateText(value: unknown): string {
  if (typeof value === "string") return value;
  const entries = Object.entries(value as Record<string, unknown>).map(([name, inner]) => {
    const text = stateText(inner);
    return text === "{}" ? name : `${name}.${text}`;
  });
  return entries.length === 1 ? (entries[0] ?? "") : `{${entries.join(", ")}}`;
}

/** Returns true if a state value is in the named state, or in a state below it. */
export function isIn(value: unknown, name: string): boolean {
  const text = stateText(value);
  if (text === name || text.startsWith(`${name}.`)) return true;
  if (typeof value === "string") return false;
  const [first = "", ...rest] = name.split(".");
  const inner = (value as Record<string, unknown>)[first];
  return inner !== undefined && (rest.length === 0 || isIn(inner, rest.join(".")));
}

/** Returns the types of the events that an instance may take in its present state. A guard can still reject an event. */
export function acceptedEvents({ snapshot }: MachineRecordState): string[] {
  return __unsafe_getAllOwnEventDescriptors(snapshot)
    .filter((type: string) => !/^(?:xstate|ergon)\./.test(type))
    .toSorted((a: string, b: string) => a.localeCompare(b));
}

/**
 * Returns true if a machine takes an event in its present state. Its guards do not run again in the step that follows. Throws `TerminalError`
 * (`MACHINE_FAILED`) when a guard throws.
 */
export function canTake(snapshot: AnyMachineSnapshot, event: EventObject): boolean {
  try {
    return canOnce(snapshot, event);
  } catch (error) {
    throw new TerminalError("MACHINE_FAILED", messageOf(error), { cause: error });
  }
}

/** Returns the state without a message that its receiver has taken. The next write removes the message from the record. */
export function withoutTell<T extends MachineRecordState>(state: T, seq: number): T {
  const { meta } = state;
  const outbox = meta.outbox.filter((tell) => tell.seq !== seq);
  return outbox.length === meta.outbox.length ? state : { ...state, meta: { ...meta, outbox } };
}

/** Returns true if `state` is an instance of a user's machine, and false if it is a task. */
export function isMachineState(state: ActorState): state is MachineRecordState {
  return "meta" in state;
}
