import type { CommitResult } from "@ergon/core/engine";

import type { HomeShard, LiveActor } from "./actor.ts";
import { CommitQueue, type CommitQueueOptions } from "./commit-queue.ts";
import type { StoreHealth } from "./store-health.ts";

const RETRY_REFUSED_MS = 1_000;
const PIPELINE_WINDOW = 2_048;

type CommitQueuesOptions = Omit<CommitQueueOptions, "window" | "onRefused" | "onResult"> & {
  readonly health: StoreHealth;
};

/** The writes of a node, in one queue for each bucket. All queues retry the writes that the store refused for its own reasons. */
export class CommitQueues {
  readonly #options: CommitQueuesOptions;
  readonly #queues: readonly CommitQueue[];
  #retrying = false;

  constructor(options: CommitQueuesOptions) {
    this.#options = options;
    this.#queues = Array.from(
      { length: options.records.buckets },
      (_, bucket) =>
        new CommitQueue({
          ...options,
          window: PIPELINE_WINDOW,
          onRefused: () => this.#refused(),
          onResult: (result) => this.#heard(bucket, result),
        }),
    );
  }

  /** The number of writes that wait, without those in flight. */
  get length(): number {
    return this.#queues.reduce((sum, queue) => sum + queue.length, 0);
  }

  of({ shard: { bucket } }: LiveActor): CommitQueue {
    const queue = this.#queues[bucket];
    if (queue === undefined) throw new Error(`no commit queue for bucket ${bucket}`);
    return queue;
  }

  /** Resumes the writes that the store held back. */
  resume(): void {
    for (const queue of this.#queues) queue.resume();
  }

  /** Drops the writes of a lost shard. */
  drop(shard: HomeShard): void {
    for (const queue of this.#queues) queue.drop(shard);
  }

  #heard(bucket: number, result: CommitResult): void {
    if (result.kind === "committed") this.#options.health.stored(bucket);
    else this.#options.health.heard(bucket, result);
  }

  /** The store refuses many writes at once, and one of these calls makes the queue try again. */
  #refused(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#options.clock.after(RETRY_REFUSED_MS, () => {
      this.#retrying = false;
      this.resume();
    });
  }
}
