import { __unsafe_getAllOwnEventDescriptors, type AnyMachineSnapshot, type EventObject } from "xstate";

import type { Machine } from "../actor/machine.ts";
import type { ParentLink } from "../actor/parent-link.ts";
import type { ActorState } from "../actor/step.ts";
import { TerminalError, messageOf } from "../base/errors.ts";
import type { Failure } from "../task/task-context.ts";
import type { ChildSpec, Ending, StoredEvent } from "./command.ts";
import type { SeenAge, SeenEvents } from "./seen-events.ts";
import type { ActorTree } from "./tree.ts";

/** How an instance of a machine stands, as users see it. The machine's own state is beside it. */
export type MachineStatus = "running" | "succeeded" | "failed" | "cancelled";

/** A message from one durable actor to another, kept until the other has stored what follows from it. */
export interface Tell {
  /** Grows by one with each message of the sender: what makes a repeated one known. */
  readonly seq: number;
  /** An actor's id. */
  readonly to: string;
  /** The parent's number of the child that the message goes to, or comes from. */
  readonly key: number;
  readonly what:
    | { readonly kind: "start"; readonly child: ChildSpec }
    | { readonly kind: "stop"; readonly reason: string }
    | { readonly kind: "event"; readonly event: StoredEvent }
    | { readonly kind: "news"; readonly fields: Readonly<Record<string, unknown>> }
    | { readonly kind: "ended"; readonly ending: Ending };
}

/** What a record keeps of an instance beside its snapshot and its timers. Times are epoch milliseconds. */
export interface MachineMeta {
  readonly id: string;
  readonly status: MachineStatus;
  readonly startedAt: number;
  readonly updatedAt: number;
  readonly endedAt?: number;
  /** Why it ended as it did, or who ended it. */
  readonly reason?: string | undefined;
  readonly failure?: Failure | undefined;
  /** It has taken a cancel as an event. */
  readonly cancelTaken?: true;
  readonly correlationId?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly retentionMs: number;
  readonly parent?: ParentLink | undefined;
  /** The tags of the states that it is in. */
  readonly stateTags: readonly string[];
  /** The instance that this one repeats. */
  readonly origin?: string | undefined;
  /** The input's fingerprint: a repeated start with another input is a conflict. */
  readonly fingerprint: number;
  /** The number for the next thing that one of its actors asks for. */
  readonly nextKey: number;
  /** Durable children by number. */
  readonly children: Readonly<Record<string, { readonly id: string; readonly machine: string }>>;
  readonly sent: number;
  readonly outbox: readonly Tell[];
  /** The number of the last message of each durable actor that it has taken. */
  readonly heard: Readonly<Record<string, number>>;
  /** The ids of the events that clients sent, for as long as one may be repeated. */
  readonly seen: SeenEvents;
  readonly seenAge?: SeenAge | undefined;
  /** The answers that ended its last embedded tasks, oldest first: the tasks are gone, and an answer that is sent again is known by these. */
  readonly answered?: readonly Answered[];
  readonly history: readonly MachineHistoryEntry[];
}

/** Which task, by its number, which attempt of it, and a checksum of the answer. */
export type Answered = readonly [key: number, attempt: number, fingerprint: number];

/** `[time, state, reason]`. */
export type MachineHistoryEntry = readonly [at: number, state: string, reason?: string];

/** An instance as its record has it. */
export interface MachineRecordState extends ActorState {
  readonly snapshot: AnyMachineSnapshot;
  readonly machine: Machine;
  /** The snapshot as records hold it. */
  readonly persisted: PersistedTree;
  readonly meta: MachineMeta;
}

/** An instance between two steps. All but the tree is never changed. */
export interface MachineState extends MachineRecordState {
  readonly tree: ActorTree;
}

export interface PersistedTree {
  readonly status: string;
  readonly value: unknown;
  readonly context: unknown;
  readonly output?: unknown;
  readonly error?: unknown;
  readonly children?: Readonly<Record<string, unknown>>;
}

/** Limits of an instance's record. */
export const machineLimits = {
  /** Answers of embedded tasks whose repetition is recognised. */
  answered: 64,
  historyEntries: 32,
  eventIdLength: 64,
  /** Durable actors above one, each the parent of the next: what starts itself for ever comes to an end. */
  depth: 100,
} as const;

/** A state value as one text: `paying`, `order.paying`, `{a.x, b.y}`. */
export function stateText(value: unknown): string {
  if (typeof value === "string") return value;
  const entries = Object.entries(value as Record<string, unknown>).map(([name, inner]) => {
    const text = stateText(inner);
    return text === "{}" ? name : `${name}.${text}`;
  });
  return entries.length === 1 ? (entries[0] ?? "") : `{${entries.join(", ")}}`;
}

/** Whether a state value is in the state that a text names: that one, or one below it. */
export function isIn(value: unknown, name: string): boolean {
  const text = stateText(value);
  if (text === name || text.startsWith(`${name}.`)) return true;
  if (typeof value === "string") return false;
  const [first = "", ...rest] = name.split(".");
  const inner = (value as Record<string, unknown>)[first];
  return inner !== undefined && (rest.length === 0 || isIn(inner, rest.join(".")));
}

/** The types of the events that an instance can take where it stands; whether a guard lets one pass depends on the event. */
export function acceptedEvents({ snapshot }: MachineRecordState): string[] {
  return __unsafe_getAllOwnEventDescriptors(snapshot)
    .filter((type: string) => !/^(?:xstate|ergon)\./.test(type))
    .toSorted((a: string, b: string) => a.localeCompare(b));
}

/** Whether a machine takes an event where it stands. Throws `TerminalError` (`MACHINE_FAILED`) when one of its guards throws. */
export function canTake(snapshot: AnyMachineSnapshot, event: EventObject): boolean {
  try {
    return snapshot.can(event);
  } catch (error) {
    throw new TerminalError("MACHINE_FAILED", messageOf(error), { cause: error });
  }
}

/** The state without a message that has been taken by whom it was for. It leaves the record with its next write. */
export function withoutTell<T extends MachineRecordState>(state: T, seq: number): T {
  const { meta } = state;
  const outbox = meta.outbox.filter((tell) => tell.seq !== seq);
  return outbox.length === meta.outbox.length ? state : { ...state, meta: { ...meta, outbox } };
}

/** Whether `state` is an instance of a user's machine, and not a task. */
export function isMachineState(state: ActorState): state is MachineRecordState {
  return "meta" in state;
}
