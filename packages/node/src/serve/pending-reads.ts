/** The ids that are being read from the store: a second request for such an id waits for the first, and runs again then. */
export class PendingReads {
  readonly #waiting = new Map<string, (() => void)[]>();

  /** Runs `first`, unless the id is being looked up: then `again` follows that. `first` does not reject. */
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
