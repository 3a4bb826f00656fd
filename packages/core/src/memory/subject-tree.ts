interface Branch<T> {
  readonly children: Map<string, Branch<T>>;
  readonly values: Set<T>;
}

const newBranch = <T>(): Branch<T> => ({ children: new Map(), values: new Set() });

/** Finds the values whose subjects, with NATS's wildcards `*` and `>`, match a subject. */
export class SubjectTree<T> {
  readonly #root: Branch<T> = newBranch();

  add(subject: string, value: T): void {
    let branch = this.#root;
    for (const token of subject.split(".")) {
      let next = branch.children.get(token);
      if (next === undefined) {
        next = newBranch();
        branch.children.set(token, next);
      }
      branch = next;
    }
    branch.values.add(value);
  }

  remove(subject: string, value: T): void {
    this.#remove(this.#root, subject.split("."), 0, value);
  }

  match(subject: string): T[] {
    const found: T[] = [];
    this.#match(this.#root, subject.split("."), 0, found);
    return found;
  }

  #match(branch: Branch<T>, tokens: readonly string[], index: number, found: T[]): void {
    const token = tokens[index];
    if (token === undefined) {
      found.push(...branch.values);
      return;
    }
    const rest = branch.children.get(">");
    if (rest !== undefined) found.push(...rest.values);
    const exact = branch.children.get(token);
    if (exact !== undefined) this.#match(exact, tokens, index + 1, found);
    const any = branch.children.get("*");
    if (any !== undefined) this.#match(any, tokens, index + 1, found);
  }

  #remove(branch: Branch<T>, tokens: readonly string[], index: number, value: T): void {
    const token = tokens[index];
    if (token === undefined) {
      branch.values.delete(value);
      return;
    }
    const next = branch.children.get(token);
    if (next === undefined) return;
    this.#remove(next, tokens, index + 1, value);
    if (next.values.size === 0 && next.children.size === 0) branch.children.delete(token);
  }
}
