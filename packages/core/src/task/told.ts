import type { ActorState } from "../actor/state.ts";

/** An ended task whose parent has heard of its end. The mark enters the record with its next write. */
export function toldTask(state: ActorState): ActorState {
  const { snapshot } = state;
  const context = { ...(snapshot.context as object), told: true };
  return { ...state, snapshot: { ...snapshot, context } as ActorState["snapshot"] };
}
