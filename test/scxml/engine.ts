import type { AnyStateMachine } from "xstate";

/** Something that runs machines, under a time that the test moves. */
export interface Engine {
  readonly name: string;
  /** Resolves when the machine has come to rest; timers that are due at once wait for `advance`. */
  start(machine: AnyStateMachine): Promise<Instance>;
}

interface Instance {
  /** The atomic states, by their keys, in no order; those of the end, once it has ended. Throws what the machine threw. */
  configuration(): string[];
  /** Delivers an event of that type, and comes to rest as after the start. A machine that has ended takes none. */
  send(type: string): Promise<void>;
  /** Moves time on, running what falls due in order; by 0, what is due at once. */
  advance(ms: number): Promise<void>;
}
