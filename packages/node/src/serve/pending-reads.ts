/** The ids that the node is reading from the store. A second request for such an id waits for the first, and then runs again. */
export class PendingReads {
  readonly #waiting = new Map<string, (() => void)[]>();

  /** Runs `first`, unless a read of the id is in flight, and then runs `again` after that read. `first` does not reject. */
  async run(id: string, first: () => Promise<void>, again: () => void): Promise<void> {
    const others = this.#waiting.get(id);
    if (others !== undefined) {
      others.push(again);
      return;
    }
    const waiting: (() => void)[] = [];
    this.#waiting.set(id, waiting);
    try {
      await first();
    } finally {
      this.#waiting.delete(id);
      for (const next of waiting) next();
    }
  }
}
