import type { Clock } from "@ergon/core";

import type { LiveActor } from "./actor.ts";

/** A reader of an actor often reads it again soon. */
const LOOK_MS = 1_000;
/** Packing takes some ten microseconds for each actor, and other work must get its turn. */
const PER_TURN = 500;

/** The actors that a reader has unpacked. The node packs them again, otherwise readers would fill the memory. */
export class Parking {
  readonly #clock: Clock;
  readonly #park: (actor: LiveActor) => void;
  /** The actors with the monotonic time of their next look, the earliest first. */
  readonly #actors = new Map<LiveActor, number>();
  #timer: unknown;

  /** `park` packs an actor that only a far timer or an event can move, and leaves any other actor alone. */
  constructor(clock: Clock, park: (actor: LiveActor) => void) {
    this.#clock = clock;
    this.#park = park;
  }

  add(actor: LiveActor): void {
    this.#actors.set(actor, this.#clock.monotonic() + LOOK_MS);
    this.#timer ??= this.#clock.after(LOOK_MS, () => this.#look());
  }

  stop(): void {
    this.#clock.cancel(this.#timer);
  }

  #look(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    let looked = 0;
    for (const [actor, due] of this.#actors) {
      if (due > now || looked === PER_TURN) {
        this.#timer = this.#clock.after(Math.max(0, due - now), () => this.#look());
        return;
      }
      looked++;
      this.#actors.delete(actor);
      this.#park(actor);
      // A listener leaves after some time. Every other reason to stay ends with a commit, after which the host packs the actor anyway.
      if (actor.isListenedTo) this.#actors.set(actor, now + LOOK_MS);
    }
  }
}
