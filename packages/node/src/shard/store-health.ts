import { type Clock, type Logger, type NodeView, type TimerHandle } from "@ergon/core";
import { isoTime, type CommitResult, type RecordStore } from "@ergon/core/engine";

/** The pause between two writes of a scratch key while a bucket takes no writes. Such a write shows when the bucket takes writes again. */
const PROBE_MS = 1_000;
/** The time without a refusal after which a bucket counts as healthy. A bucket that has room only for small records takes and refuses in turns. */
const CALM_MS = 10_000;
/** The node gives up a write that gets no answer within 5 s. */
const STRAGGLER_MS = 6_000;

/** The reason why a bucket takes no writes. */
export interface StoreTrouble {
  readonly code: "STORE_FULL" | "STORE_UNAVAILABLE";
  readonly reason: string;
  /** The time in epoch milliseconds. */
  readonly since: number;
}

interface Known extends StoreTrouble {
  /** The monotonic time of the last write that was refused or got no answer. */
  lastAt: number;
}

export interface StoreHealthParts {
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The buckets that take no writes, as far as this node knows. The node logs once when a bucket stops taking writes, and once when it takes them again. */
export class StoreHealth {
  readonly #parts: StoreHealthParts;
  readonly #troubles = new Map<number, Known>();
  /** The monotonic time at which each bucket took writes again. */
  readonly #mendedAt = new Map<number, number>();
  #probing: TimerHandle;
  #stopped = false;

  constructor(parts: StoreHealthParts) {
    this.#parts = parts;
  }

  /** The store refused a write of the bucket for its own reasons, or did not answer. */
  failed(bucket: number, code: StoreTrouble["code"], reason: string): void {
    const { clock, logger } = this.#parts;
    const known = this.#troubles.get(bucket);
    if (known !== undefined && known.code === code) {
      known.lastAt = clock.monotonic();
      return;
    }
    // The node sent this write before the bucket took writes again, and has given it up by now.
    if (known === undefined && clock.monotonic() - (this.#mendedAt.get(bucket) ?? -Infinity) < STRAGGLER_MS) return;
    const since = known?.since ?? clock.now();
    this.#troubles.set(bucket, { code, reason, since, lastAt: clock.monotonic() });
    logger.error({ bucket, code, reason }, "the store takes no writes; this node tries again until it does");
    this.#probeLater();
  }

  /** Reports the outcome of a write that was not stored. */
  heard(bucket: number, result: CommitResult): void {
    if (result.kind === "committed" || result.kind === "fenced" || result.disconnected === true) return;
    if (result.kind === "unknown") this.failed(bucket, "STORE_UNAVAILABLE", result.message);
    else if (isOfStore(result.code)) this.failed(bucket, result.code, result.message);
  }

  /** The store has stored a write of the bucket. */
  stored(bucket: number): void {
    if (this.#troubles.size === 0) return;
    const { clock, logger } = this.#parts;
    const known = this.#troubles.get(bucket);
    if (known === undefined) return;
    // A bucket that answers again has a leader again. A bucket that was full may still be too full for larger records.
    if (known.code === "STORE_FULL" && clock.monotonic() - known.lastAt < CALM_MS) return;
    this.#troubles.delete(bucket);
    this.#mendedAt.set(bucket, clock.monotonic());
    const { code, since } = known;
    logger.warn({ bucket, code, forMs: clock.now() - since }, "the store takes writes again");
  }

  /** Returns the reason why the bucket takes no writes, or `undefined` if it takes them as far as the node knows. */
  of(bucket: number): StoreTrouble | undefined {
    return this.#troubles.size === 0 ? undefined : this.#troubles.get(bucket);
  }

  /** Returns the problem that has lasted longest, as `nodes` shows it. */
  view(): NodeView["store"] {
    const [first] = [...this.#troubles].toSorted(([, a], [, b]) => a.since - b.since);
    if (first === undefined) return undefined;
    const [bucket, { code, reason, since }] = first;
    return { bucket, code, reason, since: isoTime(since) };
  }

  stop(): void {
    this.#stopped = true;
    this.#parts.clock.cancel(this.#probing);
  }

  #probeLater(): void {
    if (this.#probing !== undefined || this.#stopped) return;
    this.#probing = this.#parts.clock.after(PROBE_MS, () => void this.#probe());
  }

  async #probe(): Promise<void> {
    const { records } = this.#parts;
    await Promise.all(
      [...this.#troubles.keys()].map(async (bucket) => {
        const result = await records.probe(bucket);
        if (result.kind === "committed") this.stored(bucket);
        else this.heard(bucket, result);
      }),
    );
    this.#probing = undefined;
    if (this.#troubles.size > 0) this.#probeLater();
  }
}

/** Tells whether a refusal concerns the store as a whole instead of one record. */
export function isOfStore(code: string): code is StoreTrouble["code"] {
  return code === "STORE_FULL" || code === "STORE_UNAVAILABLE";
}
