import type { InnerActor } from "./inner-actor.ts";

/** Where an actor stands in its tree: the ids from below the root down to it. The root's is empty. */
export type Path = readonly string[];

const PARENT: Path = ["#_parent"];
const LOOSE = "#_loose.";

/** Whether an id in a path is of an actor that is not among its parent's children. */
export function isLoose(id: string): boolean {
  return id.startsWith(LOOSE);
}

/**
 * Where the actors of a tree are. Most are their parent's children by their ids. Not so one whose id was given to a later one, which lives on, and one
 * that has ended and that a context still refers to: those are loose, and known by a number.
 */
export class Places {
  readonly #root: InnerActor;
  readonly #parent: InnerActor | undefined;
  readonly #newKey: () => number;
  readonly #loose = new Map<string, InnerActor>();
  readonly #ids = new WeakMap<InnerActor, string>();

  /** `parent`: stands for the durable parent. `newKey`: a number that the instance has never used. */
  constructor(root: InnerActor, parent: InnerActor | undefined, newKey: () => number) {
    this.#root = root;
    this.#parent = parent;
    this.#newKey = newKey;
  }

  /** Notes a loose actor under the id that its record has. */
  put(id: string, actor: InnerActor): void {
    this.#loose.set(id, actor);
    this.#ids.set(actor, id);
  }

  /** The actor's path, by which it is found in the record and in the tree alike. `undefined`: it is none of this tree. */
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

/** The id by which an actor is among its parent's children. XState has actors there under "undefined" that an action has spawned without an id. */
function childIdOf(parent: InnerActor, actor: InnerActor): string | undefined {
  const { children = {} } = parent.getSnapshot();
  if (children[actor.id] === actor) return actor.id;
  return children["undefined"] === actor ? "undefined" : undefined;
}

export function samePath(a: Path, b: Path): boolean {
  return a.length === b.length && a.every((id, index) => id === b[index]);
}
