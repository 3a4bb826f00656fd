import type { Logger, NodeView } from "@ergon/core";

/** The shards of this node that it cannot serve now. The node logs once when there are some, and once more when there are none. */
export class Unserved {
  readonly #logger: Logger;
  readonly #reasons = new Map<number, string>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** The node could not claim or read these shards, and tries again. */
  failed(shards: readonly number[], reason: string): void {
    const isNew = this.#reasons.size === 0;
    for (const shard of shards) this.#reasons.set(shard, reason);
    const line = "this node cannot serve some of its shards; it tries again until it can";
    if (isNew) this.#logger.warn({ shards, reason }, line);
    else this.#logger.debug({ shards, reason }, line);
  }

  /** This node serves the shard, or another node owns it. */
  over(shard: number): void {
    if (!this.#reasons.delete(shard) || this.#reasons.size > 0) return;
    this.#logger.info({}, "this node serves all of its shards again");
  }

  view(): NodeView["unserved"] {
    const reason = [...this.#reasons.values()].at(-1);
    return reason === undefined ? undefined : { shards: this.#reasons.size, reason };
  }
}
