import type { AnyMachineSnapshot, EventObject } from "xstate";

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
  /** In an instance with actors inside: the actor that set the timer, and its target if that is another actor; absent: the machine itself. */
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
  /** For a timer that bounds a wait: the reason why the wait did not end, as far as the node knows. */
  readonly cause?: string | undefined;
}

/** A time in which no answer could arrive, epoch milliseconds. */
export interface Gap {
  readonly end: number;
  /** Until then answers may arrive that were given in time. */
  readonly answersUntil: number;
}
