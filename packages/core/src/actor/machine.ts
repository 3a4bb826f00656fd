import type { AnyStateMachine } from "xstate";

import type { Logger } from "../base/logger.ts";
import type { Shape } from "../base/shape.ts";
import type { Migration } from "./migration.ts";
import type { RecordFields } from "./record-fields.ts";
import type { ActorState, TimedEvent, Timer, Turn } from "./state.ts";

/** A machine that the engine can run. Records refer to it by name and version. */
export interface Machine {
  readonly name: string;
  readonly version: string;
  readonly logic: AnyStateMachine;
  readonly engine: Engine;
  /** The shape of a stored snapshot of Ergon's own machine. A user's machine has none, because its `context` belongs to the user. */
  readonly shape?: Shape;
  /** Throws `InvalidError`, with an issue for each fault, when no instance can start with the input. */
  readonly checkInput?: (input: unknown) => void;
  /**
   * Returns the meaning of an input, independent of its spelling. A repeated start of an id is the same start if the meanings are equal. Throws like
   * {@link Machine.checkInput}. @defaultValue the input itself, in any order of its keys
   */
  readonly meaning?: (input: unknown) => unknown;
  /** Returns the meaning of the input in force, for a machine whose events can replace the input of its start. */
  readonly inForce?: (state: ActorState) => unknown;
  /** Returns the input with which `retry` starts an instance that continues a failed or cancelled one. Throws `ConflictError` when there is none. */
  readonly again?: (state: ActorState) => unknown;
  /**
   * Returns the fields that readers see beside or instead of the common fields of instances. `children` is the readers' view of the instance's
   * running work.
   */
  readonly describe?: (state: ActorState, children: readonly object[]) => object;
  /** The migrations that bring instances of former versions to this one, by former version. */
  readonly migrate?: Readonly<Record<string, Migration>>;
}

/** The environment of an actor on its host. */
export interface Surroundings {
  readonly id: string;
  readonly logger: Logger;
  /** Runs a turn that something inside the node began, for example the result of a promise. */
  readonly onLocal: (run: () => void) => void;
}

/** Runs a kind of machines. Its steps do no I/O; the effects of a turn describe the I/O that the host performs (law 9). */
export interface Engine {
  /** Starts an actor. Throws the machine's error. */
  begin(machine: Machine, input: unknown, at: number, surroundings: Surroundings): Turn;
  /** Takes one event. Returns the same state when the event changes nothing. */
  step(machine: Machine, state: ActorState, event: TimedEvent): Turn;
  /** Takes the event of a timer that is due. */
  fire(machine: Machine, state: ActorState, timer: Timer, time: Omit<TimedEvent, "type">): Turn;
  /** Returns the fault in the form of a machine's record, or `undefined` when the record can be read. Unknown fields are no fault. */
  misshapen(machine: Machine, fields: RecordFields): string | undefined;
  /** Returns the state that a record holds, for readers. */
  read(machine: Machine, fields: RecordFields): ActorState;
  /** Returns the state that a record holds, for an instance that goes on. Throws when the state does not fit the machine. */
  restore(machine: Machine, fields: RecordFields, surroundings: Surroundings): ActorState;
  /** Returns the fields of the record beside the machine and the timers, including a `snapshot`. */
  fields(state: ActorState): Pick<RecordFields, "snapshot" | "meta">;
  /** Returns true if the actor of a record has ended and has no message left to send. A damaged record is not over. */
  isOver(fields: RecordFields): boolean;
  /** Returns the id of a record's actor. */
  idOf(fields: RecordFields): unknown;
  /** Stops everything of the actor that runs in this process. */
  close(state: ActorState): void;
  /** Returns the time at which the actor started, in epoch milliseconds. */
  startedAt(state: ActorState): number;
  /** Returns the time of the actor's last change, in epoch milliseconds. */
  updatedAt(state: ActorState): number;
}
