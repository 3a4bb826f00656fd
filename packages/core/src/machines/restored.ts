import { createActor, type AnyActorLogic } from "xstate";

import { isMap } from "../base/msgpack.ts";
import { fromPlain, type StoredReference } from "../base/plain.ts";
import { STOPPED, type InnerActor } from "./inner-actor.ts";
import type { StoredChild, StoredSnapshot } from "./persisted.ts";
import { isLoose, type Places } from "./places.ts";

/**
 * Prepares a stored snapshot for XState. The result omits the contexts of machines, because XState would take some data for references, and
 * references for the children that have such an id now. {@link fillIn} restores the contexts.
 */
export function forXState(snapshot: StoredSnapshot): unknown {
  const { children, historyValue } = snapshot;
  if (!isMap(children) || !isMap(historyValue)) return fromPlain(snapshot);
  const given = Object.entries(children as Readonly<Record<string, StoredChild>>).map(([id, child]) => [
    id,
    { ...child, snapshot: forXState(child.snapshot) },
  ]);
  return {
    ...snapshot,
    output: fromPlain(snapshot["output"]),
    error: fromPlain(snapshot["error"]),
    historyValue: { ...historyValue },
    context: {},
    children: Object.fromEntries(given),
  };
}

/**
 * Gives the actors that XState has made from a snapshot their own ids and contexts. Returns the live actors that are no children, which the caller
 * must start.
 */
export function fillIn(root: InnerActor, snapshot: StoredSnapshot, places: Places): readonly InnerActor[] {
  const machines: [InnerActor, unknown][] = [];
  const living: InnerActor[] = [];
  const visit = (actor: InnerActor, stored: StoredSnapshot): void => {
    if (actor.logic.__xstatenode !== true) return;
    machines.push([actor, stored.context]);
    const children = actor.getSnapshot().children as Record<string, InnerActor>;
    for (const [key, entry] of Object.entries(stored.children ?? {})) {
      const child = children[key] ?? (isLoose(key) ? standIn(actor, entry) : undefined);
      if (child === undefined) continue;
      if (entry.id !== undefined) rename(child, entry.id);
      if (isLoose(key)) {
        delete children[key];
        places.put(key, child);
      }
      if (entry.gone === true || child.getSnapshot().status !== "active") child._processingStatus = STOPPED;
      else if (isLoose(key)) living.push(child);
      visit(child, entry.snapshot);
    }
  };
  visit(root, snapshot);
  for (const [actor, context] of machines) {
    const revived = fromPlain(context, (reference) => found(actor, reference, places));
    actor._snapshot = Object.assign(actor._snapshot, { context: revived });
  }
  return living;
}

/** Changes the id of an actor. */
export function rename(actor: InnerActor, id: string): void {
  actor.id = id;
  actor._actorScope.id = id;
}

function found(owner: InnerActor, { id, path }: StoredReference, places: Places): unknown {
  const actor = path === undefined ? owner.getSnapshot().children?.[id] : places.find(path);
  return actor ?? standIn(owner, { id, src: "", snapshot: { status: "stopped" } });
}

/** Makes a stand-in for an ended actor whose logic no longer exists. It ignores every event. */
function standIn(parent: InnerActor, { id = "", snapshot }: StoredChild): InnerActor {
  const actor = createActor(NOTHING, { id, parent: parent as never, snapshot: fromPlain(snapshot) as never });
  return Object.assign(actor as unknown as InnerActor, { _processingStatus: STOPPED });
}

const NOTHING = {
  getInitialSnapshot: () => ({ status: "stopped", output: undefined, error: undefined }),
  getPersistedSnapshot: (snapshot: unknown) => snapshot,
  transition: (snapshot: unknown) => snapshot,
} as unknown as AnyActorLogic;
