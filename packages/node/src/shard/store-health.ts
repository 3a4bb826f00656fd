import {
  isoTime,
  type Clock,
  type CommitResult,
  type Logger,
  type NodeView,
  type RecordStore,
  type TimerHandle,
} from "@ergon/core";

/** While a bucket takes no writes, a scratch key is written so often: that shows when it takes them again. */
const PROBE_MS = 1_000;
/** Where small records fit and large ones do not, a bucket takes and refuses in turns: it counts as mended after so long without a refusal. */
const CALM_MS = 10_000;
/** A write that gets no answer is given up after 5 s. */
const STRAGGLER_MS = 6_000;

/** Why a bucket takes no writes. */
export interface StoreTrouble {
  readonly code: "STORE_FULL" | "STORE_UNAVAILABLE";
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly since: number;
}

interface Known extends StoreTrouble {
  /** Monotonic time of the last write that was refused or got no answer. */
  lastAt: number;
}

export interface StoreHealthParts {
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The buckets that take no writes, as far as this node knows. It is said once when one does not, and once more when it does again. */
export class StoreHealth {
  readonly #parts: StoreHealthParts;
  readonly #troubles = new Map<number, Known>();
  /** Monotonic time at which each bucket took writes again. */
  readonly #mendedAt = new Map<number, number>();
  #probing: TimerHandle;
  #stopped = false;

  constructor(parts: StoreHealthParts) {
    this.#parts = parts;
  }

  /** A write of the bucket was refused for the store's own reasons, or got no answer. */
  failed(bucket: number, code: StoreTrouble["code"], reason: string): void {
    const { clock, logger } = this.#parts;
    const known = this.#troubles.get(bucket);
    if (known !== undefined && known.code === code) {
      known.lastAt = clock.monotonic();
      return;
    }
    // Sent before the bucket took writes again, and given up by now.
    if (known === undefined && clock.monotonic() - (this.#mendedAt.get(bucket) ?? -Infinity) < STRAGGLER_MS) return;
    const since = known?.since ?? clock.now();
    this.#troubles.set(bucket, { code, reason, since, lastAt: clock.monotonic() });
    logger.error({ bucket, code, reason }, "the store takes no writes; this node tries again until it does");
    this.#probeLater();
  }

  /** How a write went that was not stored. */
  heard(bucket: number, result: CommitResult): void {
    if (result.kind === "committed" || result.kind === "fenced" || result.disconnected === true) return;
    if (result.kind === "unknown") this.failed(bucket, "STORE_UNAVAILABLE", result.message);
    else if (isOfStore(result.code)) this.failed(bucket, result.code, result.message);
  }

  /** A write of the bucket was stored. */
  stored(bucket: number): void {
    if (this.#troubles.size === 0) return;
    const { clock, logger } = this.#parts;
    const known = this.#troubles.get(bucket);
    if (known === undefined) return;
    // A bucket that answers again has a leader again; one that was full may still be so for what is larger.
    if (known.code === "STORE_FULL" && clock.monotonic() - known.lastAt < CALM_MS) return;
    this.#troubles.delete(bucket);
    this.#mendedAt.set(bucket, clock.monotonic());
    const { code, since } = known;
    logger.warn({ bucket, code, forMs: clock.now() - since }, "the store takes writes again");
  }

  /** Why the bucket takes no writes; `undefined`: it does, as far as is known. */
  of(bucket: number): StoreTrouble | undefined {
    return this.#troubles.size === 0 ? undefined : this.#troubles.get(bucket);
  }

  /** The trouble that has lasted longest, as `nodes` shows it. */
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

/** Whether a refusal is about the store as a whole, and not about one record. */
export function isOfStore(code: string): code is StoreTrouble["code"] {
  return code === "STORE_FULL" || code === "STORE_UNAVAILABLE";
}
