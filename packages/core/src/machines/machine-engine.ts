import type { AnyMachineSnapshot } from "xstate";

import type { Engine, Machine, Surroundings } from "../actor/machine.ts";
import type { RecordFields } from "../actor/record-fields.ts";
import type { ActorState, Effect, TimedEvent, Timer, Turn } from "../actor/state.ts";
import { TerminalError, isErgonError, messageOf } from "../base/errors.ts";
import { isMap } from "../base/msgpack.ts";
import { fromPlain } from "../base/plain.ts";
import { misshapen } from "../base/shape.ts";
import type { Failure } from "../task/task-context.ts";
import type { Hearing } from "./asks/ask.ts";
import { hear, hearMessage, note } from "./asks/asks.ts";
import type { Ending } from "./command.ts";
import { tell, type Draft } from "./draft.ts";
import { failureOf } from "./failure.ts";
import type { MachineEvent, MachineInput } from "./machine-event.ts";
import { machineLimits, type MachineHistoryEntry, type MachineMeta, type MachineStatus } from "./machine-meta.ts";
import { metaShape, treeShape } from "./machine-shape.ts";
import { canTake, stateText } from "./machine-state.ts";
import type { MachineRecordState, MachineState, PersistedTree } from "./machine-state.ts";
import type { StoredSnapshot } from "./persisted.ts";
import { remember } from "./seen-events.ts";
import { ActorTree, type TreeOptions } from "./tree.ts";

/**
 * Runs users' machines. One step is one turn of the instance's actors and lasts until all of them are at rest. A step returns its effects outside the
 * node; the host performs them after it has stored the record (law 1).
 */
export const machineEngine: Engine = {
  begin(machine: Machine, rawInput: unknown, at: number, surroundings: Surroundings): Turn {
    const { input, at: _, ...given } = rawInput as MachineInput;
    const options = treeOptions(surroundings, given.parent);
    const tree = guarded(machine, () => ActorTree.begin(machine.logic, fromPlain(input), at, options));
    const { status, error } = tree.root.getSnapshot() as { status: string; error: unknown };
    if (status === "error") {
      tree.close();
      const message = `machine ${machine.name} could not start: ${messageOf(error)}`;
      throw new TerminalError("MACHINE_FAILED", message, { cause: error });
    }
    const draft: Draft = { ...NEW, ...given, id: surroundings.id, startedAt: at, updatedAt: at };
    return settle(machine, tree, draft, at);
  },

  /**
   * Throws `InvalidError` (`NOT_SERIALISABLE`) when the outcome cannot be stored, and `TerminalError` (`MACHINE_FAILED`) when the actors come to no
   * rest. The tree is unusable after an error.
   */
  step(machine: Machine, before: ActorState, timed: TimedEvent): Turn {
    const state = before as MachineState;
    const event = timed as unknown as MachineEvent;
    const { tree, meta } = state;
    if (meta.status !== "running") return { state, effects: [] };
    const draft: Draft = { ...meta };
    guarded(machine, () => deliver(tree, draft, event));
    const same = draft.status === meta.status && draft.heard === meta.heard && draft.seen === meta.seen;
    if (!tree.takeChanged() && same && draft.sent === meta.sent) return { state, effects: [] };
    return settle(machine, tree, draft, event.at);
  },

  fire(machine: Machine, state: ActorState, timer: Timer, time: Omit<TimedEvent, "type">): Turn {
    return machineEngine.step(machine, state, { ...time, type: "ergon.timer", timer } as unknown as TimedEvent);
  },

  misshapen({ shape }: Machine, { meta, snapshot }: RecordFields): string | undefined {
    return (
      misshapen(metaShape, meta, "meta") ??
      misshapen(treeShape, snapshot, "snapshot") ??
      (shape === undefined ? undefined : misshapen(shape, snapshot, "snapshot"))
    );
  },

  read(machine: Machine, fields: RecordFields): MachineRecordState {
    const persisted = fields.snapshot as PersistedTree;
    const snapshot = persisted as unknown as AnyMachineSnapshot;
    return { machine, snapshot, timers: fields.timers, persisted, meta: metaOf(fields) };
  },

  restore(machine: Machine, fields: RecordFields, surroundings: Surroundings): MachineState {
    const { persisted, meta } = machineEngine.read(machine, fields) as MachineRecordState;
    const given = structuredClone(persisted as unknown as StoredSnapshot);
    const tree = ActorTree.restore(
      machine.logic,
      given,
      fields.timers,
      meta.nextKey,
      treeOptions(surroundings, meta.parent),
    );
    const snapshot = tree.root.getSnapshot() as AnyMachineSnapshot;
    return { machine, snapshot, timers: fields.timers, tree, persisted, meta };
  },

  fields(state: ActorState): Pick<RecordFields, "snapshot" | "meta"> {
    const { persisted, meta } = state as MachineState;
    return { snapshot: persisted, meta };
  },

  isOver(fields: RecordFields): boolean {
    if (!isMap(fields.meta) || !Array.isArray(fields.meta["outbox"])) return false;
    const { status, outbox } = metaOf(fields);
    return ended.has(status) && outbox.length === 0;
  },

  idOf: ({ meta }) => ((meta ?? {}) as Partial<MachineMeta>).id,

  close(state: ActorState): void {
    (state as MachineState).tree.close();
  },

  startedAt: (state) => (state as MachineRecordState).meta.startedAt,
  updatedAt: (state) => (state as MachineRecordState).meta.updatedAt,
};

function isAlarmTell(tell: unknown): boolean {
  return isMap(tell) && isMap(tell["what"]) && tell["what"]["kind"] === "alarm";
}

/** Reads the fields that 0.1.0 wrote. Its alarms have become timers ({@link decodeFields}), and its messages about them have no receiver. */
function metaOf({ meta }: RecordFields): MachineMeta {
  const { alarms, ...rest } = meta as MachineMeta & { readonly alarms?: unknown };
  if (alarms === undefined) return rest;
  return { ...rest, outbox: rest.outbox.filter((tell) => !isAlarmTell(tell)) };
}

const ended: ReadonlySet<unknown> = new Set(["succeeded", "failed", "cancelled"] satisfies MachineStatus[]);

const NEW: Omit<MachineMeta, "id" | "startedAt" | "updatedAt" | "retentionMs" | "fingerprint"> = {
  status: "running",
  stateTags: [],
  nextKey: 1,
  children: {},
  sent: 0,
  outbox: [],
  heard: {},
  seen: [],
  history: [],
};

function treeOptions({ id, logger, onLocal }: Surroundings, parent: MachineMeta["parent"]): TreeOptions {
  return { id, logger, onLocal, parent: parent === undefined ? "none" : parent.sync ? "to-changes" : "to-end" };
}

function deliver(tree: ActorTree, draft: Draft, event: MachineEvent): void {
  if (hear(hearingOf(tree, draft, event.at), event)) return;
  switch (event.type) {
    case "ergon.event":
      if (event.id !== undefined) Object.assign(draft, remember(draft, event.id, event.at));
      return tree.send(event.at, event.event);
    case "ergon.timer":
      return tree.fire(event.at, event.timer);
    case "ergon.told":
      return deliverTold(tree, draft, event);
    case "cancel":
      return cancelled(tree, draft, event.at, reasonOf(event));
    case "end":
      return stop(tree, draft, event.at, "failed", {
        reason: reasonOf(event),
        failure: { code: "ENDED_BY_FORCE", message: reasonOf(event), retryable: false },
      });
    case "ergon.failed":
      return stop(tree, draft, event.at, "failed", {
        reason: `${event.code}: ${event.message}`,
        failure: { code: event.code, message: event.message, retryable: false },
      });
    default:
      throw new Error(`no event of the engine: ${String((event as { type: unknown }).type)}`);
  }
}

function hearingOf(tree: ActorTree, draft: Draft, at: number): Hearing {
  return { at, draft, actors: tree, cancel: (reason) => cancelled(tree, draft, at, reason) };
}

/** Handles each message of another actor once, however often it arrives. */
function deliverTold(
  tree: ActorTree,
  draft: Draft,
  { at, from, tell: told }: MachineEvent & { type: "ergon.told" },
): void {
  if (told.seq <= (draft.heard[from] ?? 0)) return;
  const { key } = told;
  const isParent = draft.parent?.id === from;
  const isChild = draft.children[key]?.id === from;
  // The record keeps nothing of a child that is no longer needed.
  if (!isParent && !isChild) return;
  draft.heard = { ...draft.heard, [from]: told.seq };
  hearMessage(hearingOf(tree, draft, at), { isParent, isChild }, fromPlain(told.what), key);
}

/**
 * Cancels an instance. A machine that takes `cancel` as an event decides what follows, otherwise the instance stops. A second cancel does not stop a
 * machine that has taken the first, because it may be the repetition of a cancel whose answer was lost.
 */
function cancelled(tree: ActorTree, draft: Draft, at: number, reason: string): void {
  const snapshot = tree.root.getSnapshot() as AnyMachineSnapshot;
  const event = { type: "cancel", reason };
  if (canTake(snapshot, event)) {
    draft.cancelTaken = true;
    tree.send(at, event);
  } else if (draft.cancelTaken !== true) stop(tree, draft, at, "cancelled", { reason });
}

/** Stops every actor of the instance. The engine tells the actors' tasks and durable children that they are no longer needed. */
function stop(
  tree: ActorTree,
  draft: Draft,
  at: number,
  status: "cancelled" | "failed",
  fields: { readonly reason: string; readonly failure?: Failure },
): void {
  tree.stop(at);
  Object.assign(draft, fields, { status, endedAt: at });
}

function reasonOf({ by, reason }: { readonly by: string; readonly reason: string }): string {
  return reason === "" ? `by ${by}` : `by ${by}: ${reason}`;
}

/** A final state with this tag ends its instance as failed. The machine's output gives the failure's `code` and `message`. */
export const FAILED_TAG = "ergon.failed";
/** A final state with this tag ends its instance as cancelled. The `message` of the machine's output is the reason. */
export const CANCELLED_TAG = "ergon.cancelled";

/** Makes a turn of the actors' changes and requests. */
function settle(machine: Machine, tree: ActorTree, draft: Draft, at: number): Turn {
  tree.takeChanged();
  const snapshot = tree.root.getSnapshot() as AnyMachineSnapshot;
  const effects: Effect[] = note(draft, tree.takeCommands());
  const { snapshot: persisted, timers } = tree.persist();
  draft.nextKey = tree.nextKey;
  draft.updatedAt = at;
  draft.stateTags = [...snapshot.tags];
  if (snapshot.status !== "active" && draft.status === "running") end(draft, snapshot, at);
  if (draft.status !== "running") endedTell(draft, (persisted as PersistedTree).output);
  draft.history = noted(draft, snapshot, at);
  const state: MachineState = {
    machine,
    snapshot,
    timers: draft.status === "running" ? timers : [],
    tree,
    persisted: persisted as PersistedTree,
    meta: { ...draft },
  };
  return { state, effects };
}

function end(draft: Draft, snapshot: AnyMachineSnapshot, at: number): void {
  draft.endedAt = at;
  const { status, output, error } = snapshot as unknown as { status: string; output: unknown; error: unknown };
  if (status === "done" && !snapshot.hasTag(FAILED_TAG)) {
    draft.status = snapshot.hasTag(CANCELLED_TAG) ? "cancelled" : "succeeded";
    if (draft.status === "cancelled") draft.reason = failureOf(output).message;
    return;
  }
  draft.status = "failed";
  draft.failure = failureOf(status === "done" ? output : error);
  draft.reason = `${draft.failure.code}: ${draft.failure.message}`;
}

function endedTell(draft: Draft, output: unknown): void {
  const { parent } = draft;
  if (parent === undefined || draft.outbox.some(({ what }) => what.kind === "ended")) return;
  const failure = draft.failure ?? { code: "TASK_CANCELLED", message: draft.reason ?? "cancelled", retryable: false };
  // The output of a machine that ends as failed may hold more than a code and a message.
  const error = isMap(output) ? { ...output, ...failure } : failure;
  const ending: Ending = draft.status === "succeeded" ? { kind: "done", output } : { kind: "error", error };
  tell(draft, parent.id, parent.key, { kind: "ended", ending });
}

/** Runs the machine's actors. An error that XState does not catch becomes a `TerminalError` (`MACHINE_FAILED`), so it stops the instance and not its node. */
function guarded<T>(machine: Machine, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (isErgonError(error)) throw error;
    throw new TerminalError("MACHINE_FAILED", `machine ${machine.name}: ${messageOf(error)}`, { cause: error });
  }
}

/** Adds a line to the history. A full history keeps its first and last lines and loses one from the middle. */
function noted(draft: Draft, snapshot: AnyMachineSnapshot, at: number): readonly MachineHistoryEntry[] {
  const { history, status, reason } = draft;
  const state = status === "running" ? stateText(snapshot.value) : status;
  if (history.at(-1)?.[1] === state) return history;
  const line: MachineHistoryEntry = reason === undefined ? [at, state] : [at, state, reason.slice(0, 120)];
  const kept = history.length < machineLimits.historyEntries ? history : [...history.slice(0, 4), ...history.slice(5)];
  return [...kept, line];
}
