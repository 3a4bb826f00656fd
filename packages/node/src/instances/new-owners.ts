/** The callbacks that wait for new owners of shards. */
export class NewOwners {
  readonly #waiting = new Map<number, Set<() => void>>();

  /** Calls `run` once, when a new owner serves the shard. Returns a function that cancels the call. */
  when(shard: number, run: () => void): () => void {
    const waiting = this.#waiting.get(shard) ?? new Set<() => void>();
    this.#waiting.set(shard, waiting.add(run));
    return () => {
      waiting.delete(run);
      if (waiting.size === 0 && this.#waiting.get(shard) === waiting) this.#waiting.delete(shard);
    };
  }

  /** The shard has a new owner. */
  owned(shard: number): void {
    const waiting = this.#waiting.get(shard);
    this.#waiting.delete(shard);
    for (const run of waiting ?? []) run();
  }
}
