import type { AnyStateMachine, EventObject } from "xstate";

import { misshapen } from "../base/shape.ts";
import { compile, type CompiledMachine, type Leaf } from "./compile.ts";
import type { Engine, Machine } from "./machine.ts";
import type { Step } from "./operations.ts";
import type { RecordFields } from "./record-fields.ts";
import type { ActorState, Effect, TimedEvent, Timer, Turn } from "./state.ts";

const NO_EFFECTS: readonly Effect[] = [];
const NO_TIMERS: readonly Timer[] = [];
const compiled = new WeakMap<AnyStateMachine, CompiledMachine>();

/** Starts an actor. The function is pure and does no I/O. `at` is the time from which its first timers count. */
export function begin({ logic }: Machine, input: unknown, at: number): Turn {
  const turn = new Collected({}, NO_TIMERS, at);
  return turn.end(tablesOf(logic).begin(input, turn));
}

/** Takes one event and returns the next state and its effects. The function is pure (law 9). Throws the error of the machine's action. */
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

/** The result of one step of an actor. */
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
 * Runs Ergon's own machines that have no inner actors, such as `task`. Their state is a value and a context that keeps the times, and they are
 * compiled to tables.
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
  // Each new host sends the end of a task again until the parent has confirmed it. A repeated message changes nothing.
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
