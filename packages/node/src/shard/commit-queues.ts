import type { CommitResult } from "@ergon/core";

import type { HomeShard, LiveActor } from "./actor.ts";
import { CommitQueue, type CommitQueueOptions } from "./commit-queue.ts";
import type { StoreHealth } from "./store-health.ts";

const RETRY_REFUSED_MS = 1_000;
const PIPELINE_WINDOW = 2_048;

type CommitQueuesOptions = Omit<CommitQueueOptions, "window" | "onRefused" | "onResult"> & {
  readonly health: StoreHealth;
};

/** A node's writes: one queue a bucket, which all try again what the store refused for reasons of its own. */
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

  /** Writes that wait, not counting those in flight. */
  get length(): number {
    return this.#queues.reduce((sum, queue) => sum + queue.length, 0);
  }

  of({ shard: { bucket } }: LiveActor): CommitQueue {
    const queue = this.#queues[bucket];
    if (queue === undefined) throw new Error(`no commit queue for bucket ${bucket}`);
    return queue;
  }

  /** Goes on with writes that were held back. */
  resume(): void {
    for (const queue of this.#queues) queue.resume();
  }

  /** Forgets everything of a shard that was lost. */
  drop(shard: HomeShard): void {
    for (const queue of this.#queues) queue.drop(shard);
  }

  #heard(bucket: number, result: CommitResult): void {
    if (result.kind === "committed") this.#options.health.stored(bucket);
    else this.#options.health.heard(bucket, result);
  }

  /** Many writes are refused at once: one of them has it tried again. */
  #refused(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#options.clock.after(RETRY_REFUSED_MS, () => {
      this.#retrying = false;
      this.resume();
    });
  }
}
