import type { LiveActor } from "./actor.ts";
import { CommitQueue, type CommitQueueOptions } from "./commit-queue.ts";
import type { HostedShard } from "./hosted-shard.ts";

const RETRY_REFUSED_MS = 1_000;
const PIPELINE_WINDOW = 2_048;

/** A node's writes: one queue a bucket, which all try again what the store refused for reasons of its own. */
export class CommitQueues {
  readonly #options: Omit<CommitQueueOptions, "window" | "onRefused">;
  readonly #queues: readonly CommitQueue[];
  #retrying = false;

  constructor(options: Omit<CommitQueueOptions, "window" | "onRefused">) {
    this.#options = options;
    this.#queues = Array.from(
      { length: options.records.buckets },
      () =>
        new CommitQueue({
          ...options,
          window: PIPELINE_WINDOW,
          onRefused: ({ code, message: reason }) => this.#refused(code, reason),
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
  drop(shard: HostedShard): void {
    for (const queue of this.#queues) queue.drop(shard);
  }

  /** Many writes are refused at once: one of them has it tried again. */
  #refused(code: string, reason: string): void {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#options.logger.error({ code, reason }, "the store refuses writes; tried again every second");
    this.#options.clock.after(RETRY_REFUSED_MS, () => {
      this.#retrying = false;
      this.resume();
    });
  }
}
