import type { Bus, Clock } from "@ergon/core";
import type { Gap } from "@ergon/core/engine";

import type { HomeShard } from "./actor.ts";

/**
 * Agents repeat the answers that no node could take. An agent that hears about the new owner repeats them at once, and any other agent repeats them after 5
 * s. The node knows after 6 s that an agent is gone. Deadlines that may have passed meanwhile wait so long.
 */
const ANSWERS_MS = 10_000;
/** The pause between two checks of a deadline that waits. */
const LOOK_MS = 500;

/** Decides how long the deadlines of a shard wait for answers on their way, after a time in which no answer could reach this node. */
export class Patience {
  readonly #clock: Clock;
  #reachableSince = 0;

  constructor(clock: Clock, bus: Bus) {
    this.#clock = clock;
    bus.onStatus((status) => this.heard(status === "connected"));
  }

  /** Takes the state of the connection to the server. While the node does not hear the server, no answer arrives. */
  heard(isHeard: boolean): void {
    if (!isHeard) this.#reachableSince = Infinity;
    else if (this.#reachableSince === Infinity) this.#reachableSince = this.#clock.now();
  }

  /** This process stood still, and has not read the answers that came meanwhile. */
  heldUp(): void {
    this.#reachableSince = Math.max(this.#reachableSince, this.#clock.now());
  }

  /** The last time in which no answer could arrive, or `undefined` if the answers from that time have arrived. */
  gap(shard: HomeShard): Gap | undefined {
    const end = Math.max(shard.servedAt, this.#reachableSince);
    const answersUntil = end + ANSWERS_MS;
    return this.#clock.now() < answersUntil ? { end, answersUntil } : undefined;
  }

  /**
   * Returns the time of the next look at a due timer, or `undefined` if the timer fires. `mayBeAnswered` tells whether an answer to the bounded work may
   * exist.
   */
  lookAgain(shard: HomeShard, mayBeAnswered: (gap: Gap) => boolean): number | undefined {
    const gap = this.gap(shard);
    return gap !== undefined && mayBeAnswered(gap)
      ? Math.min(gap.answersUntil, this.#clock.now() + LOOK_MS)
      : undefined;
  }
}
