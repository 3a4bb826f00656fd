/** An entry that is due at a time. `position` belongs to the queue. */
export interface Due {
  due: number;
  position: number;
}

/** The `position` of an entry that is in no queue. */
export const UNQUEUED = -1;

/**
 * The entries of a node by their due time. This binary heap tells each entry its position, so that it can remove at once the many timers that never fire (a
 * task's total bound outlives the task by days).
 */
export class TimerQueue<T extends Due> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  peek(): T | undefined {
    return this.#heap[0];
  }

  /** Adds the entry, or moves it to its new due time. */
  set(entry: T, due: number): void {
    if (entry.position === UNQUEUED) {
      entry.due = due;
      entry.position = this.#heap.length;
      this.#heap.push(entry);
      this.#up(entry);
    } else if (due < entry.due) {
      entry.due = due;
      this.#up(entry);
    } else {
      entry.due = due;
      this.#down(entry);
    }
  }

  delete(entry: T): void {
    const { position } = entry;
    if (position === UNQUEUED) return;
    entry.position = UNQUEUED;
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    this.#place(last, position);
    this.#up(last);
    this.#down(last);
  }

  #place(entry: T, position: number): void {
    this.#heap[position] = entry;
    entry.position = position;
  }

  #up(entry: T): void {
    let { position } = entry;
    while (position > 0) {
      const parent = this.#heap[(position - 1) >> 1];
      if (parent === undefined || parent.due <= entry.due) break;
      this.#place(parent, position);
      position = (position - 1) >> 1;
    }
    this.#place(entry, position);
  }

  #down(entry: T): void {
    let { position } = entry;
    for (;;) {
      const left = this.#heap[2 * position + 1];
      if (left === undefined) break;
      const right = this.#heap[2 * position + 2];
      const child = right !== undefined && right.due < left.due ? right : left;
      if (child.due >= entry.due) break;
      const childPosition = child.position;
      this.#place(child, position);
      position = childPosition;
    }
    this.#place(entry, position);
  }
}
