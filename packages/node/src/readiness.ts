/** Finds the moment at which a node first serves its share of the shards. */
export class Readiness {
  readonly ready: Promise<void>;
  readonly #announce: () => void;
  readonly #isSettled: () => boolean;
  #joined = false;
  #announced = false;

  /** `isSettled` tells whether the node serves all shards that it should serve. */
  constructor(isSettled: () => boolean) {
    this.#isSettled = isSettled;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#announce = resolve;
  }

  /** The node has joined the cluster. If the cluster has more nodes than shards, a node without a shard is ready too. */
  joined(): void {
    this.#joined = true;
    this.check();
  }

  /** A shard arrived, or the cluster changed. */
  check(): void {
    if (this.#announced || !this.#joined || !this.#isSettled()) return;
    this.#announced = true;
    this.#announce();
  }
}
