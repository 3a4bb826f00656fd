import type { AnyMachineSnapshot, EventObject } from "xstate";

/** A request of a step to its host, which performs it after the record is stored (law 1). */
export interface Effect {
  readonly type: string;
  readonly params: unknown;
}

/** An event with a due time. An `after` or a delayed `raise` of the machine sets it. */
export interface Timer {
  readonly id: string;
  /** Epoch milliseconds. A restart does not change it. */
  readonly due: number;
  readonly event: EventObject;
  /** The inner actor that set the timer, and the target if that is another actor. @defaultValue the machine itself */
  readonly source?: readonly string[];
  readonly target?: readonly string[];
}

/** A durable actor's state between two steps. */
export interface ActorState {
  readonly snapshot: Pick<AnyMachineSnapshot, "status" | "value" | "context">;
  readonly timers: readonly Timer[];
}

/** The outcome of a step. The host stores the state, and then performs the effects. */
export interface Turn {
  readonly state: ActorState;
  readonly effects: readonly Effect[];
}

/** An event as the engine delivers it. Time and chance come from outside (law 7). */
export interface TimedEvent extends EventObject {
  /** Epoch milliseconds. */
  readonly at: number;
  /** A number in [0, 1) for the machine's random choices. */
  readonly chance: number;
  /** Present shortly after a time in which no node was there to take answers. */
  readonly gap?: Gap | undefined;
  /** The reason, as far as the node knows it, why a wait did not end before the timer that bounds it. */
  readonly cause?: string | undefined;
}

/** A time in which no answer could arrive, epoch milliseconds. */
export interface Gap {
  readonly end: number;
  /** The end of the time in which answers that were given in time may still arrive. */
  readonly answersUntil: number;
}
