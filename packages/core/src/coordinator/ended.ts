import type { Ending } from "../machines/command.ts";

/** The end of an actor, as XState tells it. */
export interface WorkEnded {
  readonly type: `xstate.done.actor.${string}` | `xstate.error.actor.${string}`;
  readonly actorId: string;
  readonly output?: unknown;
  readonly error?: unknown;
}

/** How a piece of work has ended. */
export function endingOf({ type, output, error }: WorkEnded): Ending {
  return type.startsWith("xstate.done.") ? { kind: "done", output } : { kind: "error", error };
}

/** A machine's reaction to the end of any of its actors, for its `on`. */
export function onWorkEnded<T>(reaction: T): {
  readonly "xstate.done.actor.*": T;
  readonly "xstate.error.actor.*": T;
} {
  return { "xstate.done.actor.*": reaction, "xstate.error.actor.*": reaction };
}
