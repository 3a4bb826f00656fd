import type { ActorState } from "../actor/state.ts";
import type { TaskContext } from "./task-context.ts";

export type LiveTaskState =
  | "admitted"
  | "held"
  | "delayed"
  | "ready"
  | "offered"
  | "unserved"
  | "started"
  | "backoff"
  | "cancelling";

/** Returns the state of a live task, or `undefined` if the task has ended. */
export function liveStateOf(state: ActorState): LiveTaskState | undefined {
  const value = state.snapshot.value as string | { readonly live: LiveTaskState };
  return typeof value === "string" ? undefined : value.live;
}

export function taskOf(state: ActorState): TaskContext {
  return state.snapshot.context as TaskContext;
}
