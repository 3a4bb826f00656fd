import { ConflictError, isErgonError } from "@ergon/core";
import {
  fieldsOf,
  type ActorState,
  type Surroundings,
  type TimedEvent,
  type Timer,
  type Turn,
} from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { ActorRecords } from "./actor-records.ts";
import type { EventWithoutTime, LiveActor } from "./actor.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Patience } from "./patience.ts";

export interface StepperParts {
  readonly context: NodeContext;
  readonly records: ActorRecords;
  readonly patience: Patience;
  readonly behaviourOf: (actor: LiveActor) => Behaviour;
  readonly surroundings: (actor: LiveActor) => Surroundings;
  /** The stepper has unpacked a parked actor. */
  readonly onWoken: (actor: LiveActor) => void;
  /** The record of a parked actor does not fit its machine here. */
  readonly onUnreadable: (actor: LiveActor, reason: string) => void;
  /** A step threw an error that is not Ergon's, so the actor cannot continue. */
  readonly onBroken: (actor: LiveActor, error: unknown) => void;
}

/** Steps actors in memory: it adds the time and random numbers to events, takes the outcome, and takes steps back. Stores nothing. */
export class Stepper {
  readonly #parts: StepperParts;

  constructor(parts: StepperParts) {
    this.#parts = parts;
  }

  wake(actor: LiveActor): ActorState {
    if (actor.state !== undefined) return actor.state;
    const record = this.#parts.records.wake(actor);
    if (record.kind === "unreadable") {
      this.#parts.onUnreadable(actor, record.reason);
      throw unreadable(actor.id, record.reason);
    }
    this.#parts.onWoken(actor);
    return record.state;
  }

  /** Takes the actor's first step. */
  begin(actor: LiveActor, input: unknown, at: number): void {
    const { machine } = actor;
    this.apply(actor, machine.engine.begin(machine, input, at, this.#parts.surroundings(actor)));
    actor.scheduledAt = at;
  }

  /** Returns whether the actor took the event. */
  step(actor: LiveActor, state: ActorState, event: EventWithoutTime): boolean {
    const { machine } = actor;
    const timed = { ...event, ...this.#time(actor, state) };
    return this.#turn(actor, state, () => machine.engine.step(machine, state, timed));
  }

  fire(actor: LiveActor, state: ActorState, timer: Timer): boolean {
    const { machine } = actor;
    const cause = this.#parts.behaviourOf(actor).causeOf(state, timer);
    const time = { ...this.#time(actor, state), cause };
    return this.#turn(actor, state, () => machine.engine.fire(machine, state, timer, time));
  }

  apply(actor: LiveActor, { state, effects }: Turn): void {
    actor.state = state;
    actor.addEffects(effects);
  }

  /** Returns the actor to an earlier state, as if the steps since had not happened. */
  rollBack(actor: LiveActor, to: ActorState): void {
    const { machine } = actor;
    this.close(actor);
    actor.state = machine.engine.restore(machine, fieldsOf(machine, to), this.#parts.surroundings(actor));
    this.#parts.behaviourOf(actor).rolledBack(actor);
  }

  /** Stops the actors that the actor runs in this process. */
  close({ state, machine }: LiveActor): void {
    if (state !== undefined) machine.engine.close(state);
  }

  /** Takes the outcome of a step. If the step throws, the actor stays in its previous state. */
  #turn(actor: LiveActor, before: ActorState, run: () => Turn): boolean {
    let turn: Turn;
    try {
      turn = run();
    } catch (error) {
      if (!isErgonError(error)) {
        this.#parts.onBroken(actor, error);
        return false;
      }
      this.rollBack(actor, before);
      throw error;
    }
    if (turn.state === before) return false;
    this.apply(actor, turn);
    return true;
  }

  /** The clock of another node may have been a little ahead, and an actor's time never goes back. */
  #time({ machine, shard }: LiveActor, state: ActorState): Omit<TimedEvent, "type"> {
    const { context, patience } = this.#parts;
    const at = Math.max(context.clock.now(), machine.engine.updatedAt(state));
    return { at, chance: context.random(), gap: patience.gap(shard) };
  }
}

/** The error for requests for an actor whose record this node cannot read. */
export function unreadable(id: string, reason: string): Error {
  return new ConflictError(
    "TASK_UNREADABLE",
    `this node cannot read the record of ${id}: ${reason}; the record is unchanged`,
  );
}
