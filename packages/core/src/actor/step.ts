import type { AnyMachineSnapshot, EventObject } from "xstate";

import type { Machine } from "./machine.ts";
import { createScope, type Effect } from "./scope.ts";

/** An event that is due at a time: an `after` or a delayed `raise` of the machine. */
export interface Timer {
  readonly id: string;
  /** Epoch milliseconds. Kept across restarts. */
  readonly due: number;
  readonly event: EventObject;
}

/** A durable actor's state between two steps. */
export interface ActorState {
  readonly snapshot: AnyMachineSnapshot;
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
}

const NO_TIMERS: readonly Timer[] = [];
const scope = createScope();

/** Starts an actor: pure, does no I/O. `at` is the time of its first timers. */
export function begin(machine: Machine, input: unknown, at: number): Turn {
  scope.collected.length = 0;
  const snapshot = machine.logic.getInitialSnapshot(scope.actorScope, input as never) as AnyMachineSnapshot;
  return finish(snapshot, NO_TIMERS, at);
}

/** Takes one event: `step(machine, state, event) -> { state', effects }`, pure (law 9). Throws what an action of the machine threw. */
export function step(machine: Machine, state: ActorState, event: TimedEvent): Turn {
  scope.collected.length = 0;
  const snapshot = machine.logic.transition(state.snapshot, event, scope.actorScope) as AnyMachineSnapshot;
  return finish(snapshot, state.timers, event.at);
}

function finish(snapshot: AnyMachineSnapshot, before: readonly Timer[], at: number): Turn {
  if (snapshot.status === "error") throw snapshot.error;
  const effects: Effect[] = [];
  let timers = before;
  for (const { type, params } of scope.collected) {
    if (type === "xstate.raise") {
      const raised = params as { id: string; delay: number; event: EventObject };
      timers = [
        ...timers.filter((timer) => timer.id !== raised.id),
        { id: raised.id, due: at + raised.delay, event: raised.event },
      ];
    } else if (type === "xstate.cancel") {
      const { sendId } = params as { sendId: string };
      timers = timers.filter((timer) => timer.id !== sendId);
    } else {
      effects.push({ type, params });
    }
  }
  if (snapshot.status !== "active") timers = NO_TIMERS;
  return { state: { snapshot, timers }, effects };
}
