/** When a node serves its share of the shards for the first time. */
export class Readiness {
  readonly ready: Promise<void>;
  readonly #announce: () => void;
  readonly #isSettled: () => boolean;
  #joined = false;
  #announced = false;

  /** `isSettled`: whether the node serves all shards that it should. */
  constructor(isSettled: () => boolean) {
    this.#isSettled = isSettled;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#announce = resolve;
  }

  /** The node has joined the cluster. A node that gets no shard, since there are more nodes than shards, is ready too. */
  joined(): void {
    this.#joined = true;
    this.check();
  }

  /** A shard came, or the cluster changed. */
  check(): void {
    if (this.#announced || !this.#joined || !this.#isSettled()) return;
    this.#announced = true;
    this.#announce();
  }
}
