import type { InnerActor } from "./inner-actor.ts";

/** The path of an actor in its tree, which lists the ids from below the root down to the actor. The root's path is empty. */
export type Path = readonly string[];

const PARENT: Path = ["#_parent"];
const LOOSE = "#_loose.";

/** Returns true if an id in a path belongs to an actor that is not among its parent's children. */
export function isLoose(id: string): boolean {
  return id.startsWith(LOOSE);
}

/**
 * Finds the actors of a tree. Most actors stand among their parent's children under their ids. An actor is loose, and has a number instead, when it
 * lives on after its id was given to a later one, or when it has ended and a context still refers to it.
 */
export class Places {
  readonly #root: InnerActor;
  readonly #parent: InnerActor | undefined;
  readonly #newKey: () => number;
  readonly #loose = new Map<string, InnerActor>();
  readonly #ids = new WeakMap<InnerActor, string>();

  /** `parent` stands for the durable parent. `newKey` returns a number that the instance has never used. */
  constructor(root: InnerActor, parent: InnerActor | undefined, newKey: () => number) {
    this.#root = root;
    this.#parent = parent;
    this.#newKey = newKey;
  }

  /** Registers a loose actor under the id that its record has. */
  put(id: string, actor: InnerActor): void {
    this.#loose.set(id, actor);
    this.#ids.set(actor, id);
  }

  /** Returns the actor's path, which is the same in the record and in the tree, or `undefined` if the actor is not part of this tree. */
  pathOf(actor: InnerActor): Path | undefined {
    if (actor === this.#root) return [];
    if (actor === this.#parent) return PARENT;
    const { _parent: parent } = actor;
    const above = parent === undefined ? undefined : this.pathOf(parent);
    if (parent === undefined || above === undefined) return undefined;
    return [...above, childIdOf(parent, actor) ?? this.#looseId(actor)];
  }

  find(path: Path): InnerActor | undefined {
    if (samePath(path, PARENT)) return this.#parent;
    let actor: InnerActor | undefined = this.#root;
    for (const id of path) actor = isLoose(id) ? this.#loose.get(id) : actor?.getSnapshot().children?.[id];
    return actor;
  }

  #looseId(actor: InnerActor): string {
    const known = this.#ids.get(actor);
    if (known !== undefined) return known;
    const id = `${LOOSE}${this.#newKey()}`;
    this.put(id, actor);
    return id;
  }
}

/** Returns the id under which an actor stands among its parent's children. XState keeps an actor that an action has spawned without an id under "undefined". */
function childIdOf(parent: InnerActor, actor: InnerActor): string | undefined {
  const { children = {} } = parent.getSnapshot();
  if (children[actor.id] === actor) return actor.id;
  return children["undefined"] === actor ? "undefined" : undefined;
}

export function samePath(a: Path, b: Path): boolean {
  return a.length === b.length && a.every((id, index) => id === b[index]);
}
