import { ACTOR_MARK, ACTOR_TYPE, notSerialisable, toPlain } from "../base/plain.ts";
import type { InnerActor } from "./inner-actor.ts";
import type { Places } from "./places.ts";
import { isLoose } from "./places.ts";

/** An actor inside another one, as records hold it. */
export interface StoredChild {
  readonly src: string;
  readonly snapshot: StoredSnapshot;
  readonly systemId?: string | undefined;
  readonly syncSnapshot?: boolean | undefined;
  /** The actor's id, when the record keeps the actor under another one. */
  readonly id?: string | undefined;
  /** True if the actor has ended while a context still refers to it. */
  readonly gone?: true | undefined;
}

export interface StoredSnapshot {
  readonly status: string;
  readonly context?: unknown;
  readonly children?: Readonly<Record<string, StoredChild>>;
  readonly [field: string]: unknown;
}

interface Stored {
  readonly children: Record<string, StoredChild>;
  /** True if the actor stands among its parent's children. */
  readonly path: string;
}

/**
 * Returns the actors of a tree in XState's form of a persisted snapshot, so that XState can restore it. This function makes it in one walk, because
 * XState's own function copies bytes one by one, and because values that cannot be stored must be found too. Each machine lists its children, and its
 * former children that still live or that a context or `others` refers to. Throws `InvalidError` (`NOT_SERIALISABLE`).
 */
export function persisted(
  root: InnerActor,
  places: Places,
  living: ReadonlySet<InnerActor>,
  others: readonly InnerActor[],
): StoredSnapshot {
  const stored = new Map<InnerActor, Stored>();
  const wanted = new Set<InnerActor>();

  const store = (actor: InnerActor, path: string): StoredSnapshot => {
    const snapshot = actor.getSnapshot();
    const within: Record<string, StoredChild> = {};
    stored.set(actor, { children: within, path });
    if (actor.logic.__xstatenode !== true)
      return toPlain(actor.logic.getPersistedSnapshot(snapshot), trimmed(path)) as StoredSnapshot;
    const { status, output, error, value, context, historyValue = {}, children = {} } = snapshot;
    for (const [id, child] of Object.entries(children)) within[id] = storeChild(child, id, path);
    return {
      status,
      output: toPlain(output, `${path}output`),
      error: toPlain(error, `${path}error`),
      value,
      historyValue: namesOf(historyValue),
      context: toPlain(context, `${path}context`, (given, at) => referenceOf(actor, given, at)),
      children: within,
    };
  };

  const storeChild = (child: InnerActor, id: string, above: string): StoredChild => {
    const path = `${above}children.${id}.`;
    const { src, systemId, _syncSnapshot: syncSnapshot } = child;
    if (typeof src !== "string")
      throw notSerialisable(`${path}src`, "an actor that is given inline; name it in the machine's actors");
    const snapshot = store(child, `${path}snapshot.`);
    const gone = isLoose(id) && !living.has(child);
    return {
      snapshot,
      src,
      systemId: gone ? undefined : systemId,
      syncSnapshot,
      ...(id === child.id ? {} : { id: child.id }),
      ...(gone ? { gone } : {}),
    };
  };

  const referenceOf = (owner: InnerActor, given: object, at: string): unknown => {
    if (!isActor(given)) return undefined;
    if (given._parent === owner && owner.getSnapshot().children?.[given.id] === given)
      return { [ACTOR_MARK]: ACTOR_TYPE, id: given.id };
    const path = places.pathOf(given);
    if (path === undefined) throw notSerialisable(at, "a reference to an actor that is not of this instance");
    if (!stored.has(given) && path.some(isLoose)) wanted.add(given);
    return { [ACTOR_MARK]: ACTOR_TYPE, id: given.id, path };
  };

  const storeLoose = (actor: InnerActor): void => {
    const { _parent: parent } = actor;
    if (stored.has(actor) || parent === undefined) return;
    storeLoose(parent);
    const above = stored.get(parent);
    const id = places.pathOf(actor)?.at(-1);
    // A child that is stored with its parent is already stored here.
    if (stored.has(actor) || above === undefined || id === undefined) return;
    above.children[id] = storeChild(actor, id, above.path);
  };

  const snapshot = store(root, "");
  for (const actor of [...living, ...others]) storeLoose(actor);
  // An actor stored here may refer to further ones, which the loop then stores.
  for (const actor of wanted) storeLoose(actor);
  return snapshot;
}

function isActor(value: object): value is InnerActor {
  return "sessionId" in value && "send" in value && "ref" in value && "id" in value;
}

/** Replaces the states of a history with their names. */
function namesOf(historyValue: Readonly<Record<string, readonly { readonly id: string }[]>>): unknown {
  return Object.fromEntries(
    Object.entries(historyValue).map(([history, states]) => [history, states.map(({ id }) => ({ id }))]),
  );
}

function trimmed(path: string): string {
  return path.endsWith(".") ? path.slice(0, -1) : path;
}
