import type { InnerActor } from "./inner-actor.ts";
import { notSerialisable, toPlain } from "./plain.ts";

/** What XState puts for a reference to one of a machine's own actors, in the context of a stored snapshot. */
const ACTOR_TYPE = 1;

/**
 * An actor, with all below it, as records hold it: in XState's form of a persisted snapshot, so that XState restores it. Made here in one walk:
 * XState's own goes through bytes one by one, and what cannot be stored has to be found as well. Throws `InvalidError` (`NOT_SERIALISABLE`).
 */
export function persisted(actor: InnerActor, path = ""): unknown {
  const snapshot = actor.getSnapshot();
  if (actor.logic.__xstatenode !== true) return toPlain(actor.logic.getPersistedSnapshot(snapshot), trimmed(path));
  const { status, output, error, value, context, historyValue = {}, children = {} } = snapshot;
  return {
    status,
    output: toPlain(output, `${path}output`),
    error: toPlain(error, `${path}error`),
    value,
    historyValue: namesOf(historyValue),
    context: toPlain(context, `${path}context`, referenceOf),
    children: childrenOf(children, path),
  };
}

function childrenOf(children: Readonly<Record<string, InnerActor>>, path: string): Record<string, unknown> {
  const stored: Record<string, unknown> = {};
  for (const [id, child] of Object.entries(children)) {
    const place = `${path}children.${id}.`;
    if (typeof child.src !== "string")
      throw notSerialisable(`${place}src`, "an actor that is given inline; name it in the machine's actors");
    const { src, systemId, _syncSnapshot: syncSnapshot } = child;
    stored[id] = { snapshot: persisted(child, `${place}snapshot.`), src, systemId, syncSnapshot };
  }
  return stored;
}

/** A history holds states, a record their names. */
function namesOf(historyValue: Readonly<Record<string, readonly { readonly id: string }[]>>): unknown {
  return Object.fromEntries(
    Object.entries(historyValue).map(([history, states]) => [history, states.map(({ id }) => ({ id }))]),
  );
}

function referenceOf(value: object): unknown {
  if (!("sessionId" in value && "send" in value && "ref" in value && "id" in value)) return undefined;
  return { xstate$$type: ACTOR_TYPE, id: value.id };
}

function trimmed(path: string): string {
  return path.endsWith(".") ? path.slice(0, -1) : path;
}
