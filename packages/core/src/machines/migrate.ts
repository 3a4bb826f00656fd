import type { AnyMachineSnapshot } from "xstate";

import type { Machine, Surroundings } from "../actor/machine.ts";
import type { Migratable } from "../actor/migration.ts";
import { type RecordFields } from "../actor/record-fields.ts";
import { decodeTimer, encodeTimer } from "../actor/record.ts";
import type { Turn } from "../actor/state.ts";
import { ConflictError, messageOf } from "../base/errors.ts";
import { isMap } from "../base/msgpack.ts";
import { ACTOR_MARK, fromPlain, toPlain } from "../base/plain.ts";
import { note, type Command } from "./asks/asks.ts";
import type { Draft } from "./draft.ts";
import { misfit } from "./fit.ts";
import { machineEngine } from "./machine-engine.ts";
import { machineLimits, type MachineMeta } from "./machine-meta.ts";
import { stateText, type MachineState } from "./machine-state.ts";

const known: ReadonlySet<string> = new Set(["value", "context", "children", "historyValue", "timers"]);

/**
 * Returns the fields of an instance's record as a record of another version of its machine. Throws `ConflictError` (`MIGRATION_FAILED`) when that
 * version has no migration from the record's version, when the migration throws, and when its answer does not fit the machine.
 */
export function migrateFields(fields: RecordFields, to: Machine): RecordFields {
  const { version, snapshot, timers } = fields;
  const fault = (text: string, cause?: unknown): ConflictError => failed(fields, to, text, cause);
  const migration = to.migrate?.[version];
  if (migration === undefined) throw fault(`version ${to.version} has no migration from ${version}`);
  const references = new Map<object, string>();
  const {
    value,
    context,
    children = {},
    historyValue = {},
  } = fromPlain(structuredClone(snapshot), (reference) =>
    remembered(references, reference),
  ) as unknown as Partial<Migratable>;
  let given: Record<string, unknown>;
  try {
    const answer: unknown = migration({
      value,
      context: context ?? {},
      children,
      historyValue,
      timers: structuredClone(timers),
    });
    if (!isMap(answer) || "then" in answer) throw new Error("it must answer an object, and at once");
    const unknown = Object.keys(answer).find((field) => !known.has(field));
    if (unknown !== undefined)
      throw new Error(`"${unknown}" is nothing that a migration gives: ${[...known].join(", ")}`);
    const spelled = new Set(references.values());
    given = toPlain(answer, "", (object) => (isOneOf(references, spelled, object) ? object : undefined)) as Record<
      string,
      unknown
    >;
  } catch (cause) {
    throw fault(messageOf(cause), cause);
  }
  const { timers: rawTimers = timers, ...changed } = given;
  const checked = Array.isArray(rawTimers) ? rawTimers.map(checkedTimer) : [undefined];
  const migrated = { ...snapshot, ...changed } as RecordFields["snapshot"];
  if (!isMap(migrated.context)) throw fault("context: must be an object");
  const next = checked.filter((timer) => timer !== undefined);
  if (next.length < checked.length) throw fault("timers: must be a list of { id, due, event }");
  const reason = misfit(to.logic, { snapshot: migrated, timers: next });
  if (reason !== undefined) throw fault(reason);
  return { ...fields, version: to.version, snapshot: migrated, timers: next };
}

/**
 * Moves an instance to another version of its machine; the caller stores the turn. Tasks and durable children that the migration has dropped stop.
 * Throws `ConflictError` (`MIGRATION_FAILED`) like {@link migrateFields}.
 */
export function migrate(fields: RecordFields, to: Machine, at: number, surroundings: Surroundings): Turn {
  const migrated = migrateFields(fields, to);
  const before = fields.meta as MachineMeta;
  const draft: Draft = { ...before, updatedAt: Math.max(at, before.updatedAt) };
  const kept = new Set(keysOf(migrated.snapshot));
  const stops = keysOf(fields.snapshot)
    .filter((key) => !kept.has(key))
    .map((key): Command => ({ type: "stop", key, reason: "a migration has dropped it" }));
  const effects = note(draft, stops);
  const restored = restore(fields, migrated, to, surroundings);
  draft.stateTags = [...(restored.snapshot as AnyMachineSnapshot).tags];
  const state = stateText(migrated.snapshot.value);
  const { history } = draft;
  // A full history keeps its first and last lines and loses one from the middle.
  const lines = history.length < machineLimits.historyEntries ? history : [...history.slice(0, 4), ...history.slice(5)];
  draft.history = [...lines, [draft.updatedAt, state, `migrated from version ${fields.version}`]];
  return { state: { ...restored, meta: { ...draft } } as MachineState, effects };
}

function remembered(references: Map<object, string>, reference: object): object {
  references.set(reference, JSON.stringify(reference));
  return reference;
}

/** Returns true if an object in a migration's answer is a reference to an actor that the migration received, or a copy of one. */
function isOneOf(references: ReadonlyMap<object, string>, spelled: ReadonlySet<string>, object: object): boolean {
  return references.has(object) || (ACTOR_MARK in object && spelled.has(JSON.stringify(object)));
}

function restore(fields: RecordFields, migrated: RecordFields, to: Machine, surroundings: Surroundings): MachineState {
  try {
    return machineEngine.restore(to, migrated, surroundings) as MachineState;
  } catch (cause) {
    throw failed(fields, to, messageOf(cause), cause);
  }
}

function failed({ machine, version }: RecordFields, to: Machine, text: string, cause: unknown): ConflictError {
  return new ConflictError("MIGRATION_FAILED", `from ${machine}@${version} to ${to.version}: ${text}`, { cause });
}

function checkedTimer(raw: unknown): RecordFields["timers"][number] | undefined {
  return isMap(raw) ? decodeTimer(encodeTimer(raw as never)) : undefined;
}

/** Returns the numbers of all tasks and durable children that the actors of an instance wait for. */
function keysOf(persisted: unknown): number[] {
  const { key, children } = persisted as { key?: unknown; children?: Readonly<Record<string, { snapshot?: unknown }>> };
  const below = Object.values(children ?? {}).flatMap(({ snapshot }) => (isMap(snapshot) ? keysOf(snapshot) : []));
  return typeof key === "number" ? [key, ...below] : below;
}
