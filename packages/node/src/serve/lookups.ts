/** Ids that are being looked up in the store: whoever asks for one meanwhile waits for the first, and asks again then. */
export class Lookups {
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
