import { type Clock } from "@ergon/core";
import { isAlarm, type Timer } from "@ergon/core/engine";

import type { ServerTime } from "../server-time.ts";
import type { LiveActor } from "./actor.ts";

/** The pause before the node asks for the server's time again after no answer came. */
const READ_AGAIN_MS = 250;

/**
 * Keeps alarms from firing early. An alarm follows the server's clock, and the node's clock is only a reading of it. An alarm that is due here waits until a
 * new reading shows that its time has passed at the server. Alarms that are due together share a reading.
 */
export class AlarmGate {
  readonly #serverTime: ServerTime;
  readonly #clock: Clock;
  readonly #again: (actor: LiveActor) => void;
  readonly #waiting = new Set<LiveActor>();
  #reading = false;

  /** `again` looks at the actor's timers again. */
  constructor(serverTime: ServerTime, clock: Clock, again: (actor: LiveActor) => void) {
    this.#serverTime = serverTime;
    this.#clock = clock;
    this.#again = again;
  }

  /** Tells whether a timer that is due by the node's clock may not fire yet. */
  holds(timer: Timer): boolean {
    return isAlarm(timer) && timer.due > this.#serverTime.passed;
  }

  /** Looks at the actor's timers again after the next reading. */
  wait(actor: LiveActor): void {
    this.#waiting.add(actor);
    if (this.#reading) return;
    this.#reading = true;
    this.#serverTime.read().then(
      () => this.#release(),
      () => this.#clock.after(READ_AGAIN_MS, () => this.#release()),
    );
  }

  #release(): void {
    this.#reading = false;
    const actors = [...this.#waiting];
    this.#waiting.clear();
    for (const actor of actors) this.#again(actor);
  }
}
