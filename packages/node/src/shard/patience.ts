import type { Bus, Clock, Gap } from "@ergon/core";

import type { HomeShard } from "./actor.ts";

/**
 * Answers that were given while no node could take them are sent again: at once by an agent that hears of the new owner, after 5 s by one that does
 * not, and an agent that is gone is known to be after 6 s. Deadlines that may have passed meanwhile wait so long.
 */
const ANSWERS_MS = 10_000;
/** A deadline that waits looks so often whether it still has to. */
const LOOK_MS = 500;

/** How long the deadlines of a shard wait for answers that are on their way, after a time in which none could arrive at this node. */
export class Patience {
  readonly #clock: Clock;
  #reachableSince = 0;

  constructor(clock: Clock, bus: Bus) {
    this.#clock = clock;
    bus.onStatus((status) => this.heard(status === "connected"));
  }

  /** Whether the server is heard. While it is not, no answer arrives. */
  heard(isHeard: boolean): void {
    if (!isHeard) this.#reachableSince = Infinity;
    else if (this.#reachableSince === Infinity) this.#reachableSince = this.#clock.now();
  }

  /** This process stood still: answers that came meanwhile are still to be read. */
  heldUp(): void {
    this.#reachableSince = Math.max(this.#reachableSince, this.#clock.now());
  }

  /** The last time in which no answer could arrive, while those that were given then may be on their way; `undefined`: they have come. */
  gap(shard: HomeShard): Gap | undefined {
    const end = Math.max(shard.servedAt, this.#reachableSince);
    const answersUntil = end + ANSWERS_MS;
    return this.#clock.now() < answersUntil ? { end, answersUntil } : undefined;
  }

  /** When a timer that is due has to be looked at again; `undefined`: it fires. `mayBeAnswered`: whether what it bounds may have been answered. */
  lookAgain(shard: HomeShard, mayBeAnswered: (gap: Gap) => boolean): number | undefined {
    const gap = this.gap(shard);
    return gap !== undefined && mayBeAnswered(gap)
      ? Math.min(gap.answersUntil, this.#clock.now() + LOOK_MS)
      : undefined;
  }
}
