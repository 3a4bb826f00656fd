import type { ActorState } from "../actor/state.ts";

/** Marks an ended task whose parent has received its end. The next write adds the mark to the record. */
export function toldTask(state: ActorState): ActorState {
  const { snapshot } = state;
  const context = { ...(snapshot.context as object), told: true };
  return { ...state, snapshot: { ...snapshot, context } as ActorState["snapshot"] };
}
