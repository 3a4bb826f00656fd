import type { AnyStateMachine, AnyMachineSnapshot, EventObject } from "xstate";

import { misshapen } from "../base/shape.ts";
import { compile, type CompiledMachine, type Leaf } from "./compile.ts";
import type { Engine } from "./engine.ts";
import type { Machine } from "./machine.ts";
import type { Step } from "./operations.ts";
import type { RecordFields } from "./record.ts";

/** Something that a step asks the world to do, once its record is stored (law 1). */
export interface Effect {
  readonly type: string;
  readonly params: unknown;
}

/** An event that is due at a time: an `after` or a delayed `raise` of the machine. */
export interface Timer {
  readonly id: string;
  /** Epoch milliseconds. Kept across restarts. */
  readonly due: number;
  readonly event: EventObject;
  /** Of an instance with actors inside: who set it, and whom it goes to when that is another; absent: the machine itself. */
  readonly source?: readonly string[];
  readonly target?: readonly string[];
}

/** A durable actor's state between two steps. */
export interface ActorState {
  readonly snapshot: Pick<AnyMachineSnapshot, "status" | "value" | "context">;
  readonly timers: readonly Timer[];
}

/** The outcome of a step: the next state, to be stored, and what is to be done once it is. */
export interface Turn {
  readonly state: ActorState;
  readonly effects: readonly Effect[];
}

/** An event as the engine delivers it: time and chance come from outside (law 7). */
export interface TimedEvent extends EventObject {
  /** Epoch milliseconds. */
  readonly at: number;
  /** A number in [0, 1) for whatever the machine leaves to chance. */
  readonly chance: number;
  /** Shortly after a time in which no node was there to take answers. */
  readonly gap?: Gap | undefined;
  /** Of a timer that bounds a wait: why the wait had no end, as far as the node knows. */
  readonly cause?: string | undefined;
}

/** A time in which no answer could arrive, epoch milliseconds. */
export interface Gap {
  readonly end: number;
  /** Until then answers may arrive that were given in time. */
  readonly answersUntil: number;
}

const NO_EFFECTS: readonly Effect[] = [];
const NO_TIMERS: readonly Timer[] = [];
const compiled = new WeakMap<AnyStateMachine, CompiledMachine>();

/** Starts an actor: pure, does no I/O. `at` is the time of its first timers. */
export function begin({ logic }: Machine, input: unknown, at: number): Turn {
  const turn = new Collected({}, NO_TIMERS, at);
  return turn.end(tablesOf(logic).begin(input, turn));
}

/** Takes one event: `step(machine, state, event) -> { state', effects }`, pure (law 9). Throws what an action of the machine threw. */
export function step({ logic }: Machine, state: ActorState, event: TimedEvent): Turn {
  const { snapshot, timers } = state;
  if (snapshot.status !== "active") return { state, effects: NO_EFFECTS };
  const tables = tablesOf(logic);
  const from = tables.leafOf(snapshot.value);
  const turn = new Collected(snapshot.context as object, timers, event.at);
  const leaf = tables.take(from, event, turn);
  return leaf === from && turn.isEmpty ? { state, effects: NO_EFFECTS } : turn.end(leaf);
}

function tablesOf(logic: AnyStateMachine): CompiledMachine {
  let tables = compiled.get(logic);
  if (tables === undefined) compiled.set(logic, (tables = compile(logic)));
  return tables;
}

/** What one step makes of an actor. */
class Collected implements Step {
  context: object;
  readonly #before: object;
  readonly #at: number;
  #timers: readonly Timer[];
  #effects: Effect[] | undefined;
  #timersChanged = false;

  constructor(context: object, timers: readonly Timer[], at: number) {
    this.context = context;
    this.#before = context;
    this.#timers = timers;
    this.#at = at;
  }

  get isEmpty(): boolean {
    return this.context === this.#before && this.#effects === undefined && !this.#timersChanged;
  }

  act(type: string, params: unknown): void {
    (this.#effects ??= []).push({ type, params });
  }

  setTimer(id: string, delayMs: number, event: EventObject): void {
    this.#timers = [...this.#timers.filter((timer) => timer.id !== id), { id, due: this.#at + delayMs, event }];
    this.#timersChanged = true;
  }

  clearTimer(id: string): void {
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
    this.#timersChanged = true;
  }

  end({ value, isFinal }: Leaf): Turn {
    const snapshot = { status: isFinal ? "done" : "active", value, context: this.context } as ActorState["snapshot"];
    return { state: { snapshot, timers: isFinal ? NO_TIMERS : this.#timers }, effects: this.#effects ?? NO_EFFECTS };
  }
}

/**
 * Runs machines whose state is their value and a context that keeps the times, compiled to tables and without actors inside: for machines of our own,
 * as `task`.
 */
export const flatEngine: Engine = {
  begin,
  step,
  fire(machine, state, timer, time) {
    const rest = { snapshot: state.snapshot, timers: state.timers.filter((other) => other !== timer) };
    return step(machine, rest, { ...timer.event, ...time });
  },
  misshapen({ shape }, { snapshot }) {
    return shape === undefined ? undefined : misshapen(shape, snapshot, "snapshot");
  },
  read: resolve,
  restore: resolve,
  fields({ snapshot: { status, value, context } }) {
    return { snapshot: { status, value, context } };
  },
  // An ended task whose parent may not have heard of it is told again by each new host; a repeated message changes nothing.
  isOver({ snapshot: { status, value, context } }) {
    const { parent, told } = context as { readonly parent?: unknown; readonly told?: unknown };
    return status === "done" && typeof value === "string" && (parent === undefined || told === true);
  },
  idOf: ({ snapshot }) => (snapshot.context as { id?: unknown }).id,
  close: () => undefined,
  startedAt: ({ snapshot }) => (snapshot.context as { scheduledAt?: number }).scheduledAt ?? 0,
  updatedAt: ({ snapshot }) => (snapshot.context as { updatedAt?: number }).updatedAt ?? 0,
};

function resolve({ logic }: Machine, { snapshot: { status, value, context }, timers }: RecordFields): ActorState {
  const leaf = tablesOf(logic).leafOf(value);
  return { snapshot: { status, value: leaf.value, context } as ActorState["snapshot"], timers };
}
