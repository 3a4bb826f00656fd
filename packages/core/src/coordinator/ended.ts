import type { Ending } from "../machines/command.ts";

/** The event with which XState reports the end of an actor. */
export interface WorkEnded {
  readonly type: `xstate.done.actor.${string}` | `xstate.error.actor.${string}`;
  readonly actorId: string;
  readonly output?: unknown;
  readonly error?: unknown;
}

/** Converts XState's report into the ending of a piece of work. */
export function endingOf({ type, output, error }: WorkEnded): Ending {
  return type.startsWith("xstate.done.") ? { kind: "done", output } : { kind: "error", error };
}

/** Returns the entries of a machine's `on` that run `reaction` when any of its actors ends. */
export function onWorkEnded<T>(reaction: T): {
  readonly "xstate.done.actor.*": T;
  readonly "xstate.error.actor.*": T;
} {
  return { "xstate.done.actor.*": reaction, "xstate.error.actor.*": reaction };
}
