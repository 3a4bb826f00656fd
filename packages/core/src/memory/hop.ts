import type { Clock, TimerHandle } from "../base/clock.ts";

/** The parts of the network that a {@link Hop} needs. */
export interface Road {
  readonly clock: Clock;
  /** Returns the time that the next message takes. */
  latency(): number;
}

/** One direction of a connection. Messages arrive later, and in order. */
export class Hop {
  readonly #road: Road;
  #queue: { readonly at: number; readonly run: () => void }[] = [];
  #head = 0;
  #lastArrival = 0;
  #timer: TimerHandle;
  /** The reasons for which nothing arrives at present. */
  readonly #holds: Set<string> = new Set();
  #cut = false;

  constructor(road: Road) {
    this.#road = road;
  }

  send(run: () => void): void {
    if (this.#cut) return;
    this.#lastArrival = Math.max(this.#lastArrival, this.#road.clock.monotonic() + this.#road.latency());
    this.#queue.push({ at: this.#lastArrival, run });
    this.#arm();
  }

  /** Drops the messages in transit, and all further ones until {@link Hop.open}. */
  cut(): void {
    this.#cut = true;
    this.#queue = [];
    this.#head = 0;
  }

  open(): void {
    this.#cut = false;
  }

  /** Holds all messages until {@link Hop.resume} has removed every reason. */
  pause(reason: string): void {
    this.#holds.add(reason);
  }

  resume(reason: string): void {
    this.#holds.delete(reason);
    this.#arm();
  }

  #arm(): void {
    const next = this.#queue[this.#head];
    if (this.#timer !== undefined || this.#holds.size > 0 || next === undefined) return;
    this.#timer = this.#road.clock.after(Math.max(0, next.at - this.#road.clock.monotonic()), () => this.#arrive());
  }

  #arrive(): void {
    this.#timer = undefined;
    if (this.#holds.size > 0) return;
    const now = this.#road.clock.monotonic();
    // A timer of the real clock may fire slightly early, and is then set again. Late messages arrive together, as from a socket.
    if ((this.#queue[this.#head]?.at ?? Infinity) <= now) this.#take();
    while (this.#holds.size === 0 && (this.#queue[this.#head]?.at ?? Infinity) < now) this.#take();
    this.#arm();
  }

  #take(): void {
    const next = this.#queue[this.#head];
    this.#head++;
    if (this.#head > 1_024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    next?.run();
  }
}
