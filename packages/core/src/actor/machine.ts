import type { AnyStateMachine } from "xstate";

import type { Logger } from "../base/logger.ts";
import type { Shape } from "../base/shape.ts";
import type { Migration } from "./migration.ts";
import type { RecordFields } from "./record-fields.ts";
import type { ActorState, TimedEvent, Timer, Turn } from "./state.ts";

/** A machine that the engine can run, by the name and version that records carry. */
export interface Machine {
  readonly name: string;
  readonly version: string;
  readonly logic: AnyStateMachine;
  readonly engine: Engine;
  /** The shape of a stored snapshot, where it is Ergon's own: `context` of a user's machine is the user's. */
  readonly shape?: Shape;
  /** Throws `InvalidError`, with an issue for each fault, when an instance cannot be started with the input. */
  readonly checkInput?: (input: unknown) => void;
  /**
   * The meaning of an input, independent of its spelling: a repeated start of an id is the same start if this is equal. Throws as {@link Machine.checkInput} does.
   * Absent: the input itself, in whatever order its keys are.
   */
  readonly meaning?: (input: unknown) => unknown;
  /** Where events change what an instance was started with: the meaning of what is in force. */
  readonly inForce?: (state: ActorState) => unknown;
  /** The input of an instance that goes on where one has failed or was cancelled: what `retry` starts. Throws `ConflictError` when there is none. */
  readonly again?: (state: ActorState) => unknown;
  /** The fields that readers see beside or instead of the common fields of instances. `children`: the readers' view of the work that runs for it. */
  readonly describe?: (state: ActorState, children: readonly object[]) => object;
  /** How instances of former versions become ones of this, by the version that they have. */
  readonly migrate?: Readonly<Record<string, Migration>>;
}

/** The environment of an actor on its host. */
export interface Surroundings {
  readonly id: string;
  readonly logger: Logger;
  /** Takes a turn that something inside the node began: the result of a promise, say. */
  readonly onLocal: (run: () => void) => void;
}

/** How machines of a kind are run. Its steps do no I/O; whatever they want done is in the turn's effects (law 9). */
export interface Engine {
  /** Starts an actor. Throws what the machine threw. */
  begin(machine: Machine, input: unknown, at: number, surroundings: Surroundings): Turn;
  /** Takes one event. The same state comes back when the event changes nothing. */
  step(machine: Machine, state: ActorState, event: TimedEvent): Turn;
  /** Takes the event of a timer that is due. */
  fire(machine: Machine, state: ActorState, timer: Timer, time: Omit<TimedEvent, "type">): Turn;
  /** The fault in the form of a record of the machine; `undefined`: it can be read. Unknown fields are no fault. */
  misshapen(machine: Machine, fields: RecordFields): string | undefined;
  /** The state that a record holds, for readers. */
  read(machine: Machine, fields: RecordFields): ActorState;
  /** The state that a record holds, to go on from. Throws when it does not fit the machine. */
  restore(machine: Machine, fields: RecordFields, surroundings: Surroundings): ActorState;
  /** The fields of the record beside the machine and the timers, including a `snapshot`. */
  fields(state: ActorState): Pick<RecordFields, "snapshot" | "meta">;
  /** Whether a record says nothing more to anybody: its actor has ended, and has nothing left to tell. A damaged one is not over. */
  isOver(fields: RecordFields): boolean;
  /** The id of the actor that a record is of. */
  idOf(fields: RecordFields): unknown;
  /** Lets go of what of the actor runs in this process. */
  close(state: ActorState): void;
  /** When the actor was started, in epoch milliseconds. */
  startedAt(state: ActorState): number;
  /** When it changed last. */
  updatedAt(state: ActorState): number;
}
