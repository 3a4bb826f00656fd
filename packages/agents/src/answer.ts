import type { Headers } from "@ergon/core";

/** How an attempt ended, on its way to the owner of its shard. */
export interface Answer {
  readonly key: string;
  /** The attempt's key. It differs from that of an attempt with the same number of a later task with the same id. */
  readonly deadline: number | undefined;
  readonly subject: string;
  readonly headers: Headers;
  readonly data: Uint8Array;
}
