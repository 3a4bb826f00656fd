import type { ActorState, Clock, Timer } from "@ergon/core";

import type { NodeContext } from "../node-context.ts";
import { timersOf } from "./actor-records.ts";
import type { LiveActor } from "./actor.ts";
import { AlarmGate } from "./alarm-gate.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Patience } from "./patience.ts";
import { TimerQueue } from "./timer-queue.ts";

/** Actors whose timers are fired in one turn, before the network gets its turn again. */
const FIRED_PER_TURN = 512;
/** The same as a time: the step that a timer makes may be slow. */
const TURN_MS = 10;
/** Far timers are armed in pieces: platforms hold no more than about 24 days, and the clock may be corrected a little meanwhile. */
const MAX_ARM_MS = 30_000;
/** A timer of a shard that is being loaded comes again after this. */
const LOADING_MS = 50;
/** A process whose timers are later than this stood still. */
const HELD_UP_MS = 500;

/** The timers of all actors of a node, by when the first of each is due: in memory, made from records (law 6). */
export class ActorTimers {
  readonly #queue = new TimerQueue<LiveActor>();
  readonly #clock: Clock;
  readonly #alarms: AlarmGate;
  readonly #patience: Patience;
  readonly #fire: (actor: LiveActor, now: number) => void;
  #armedFor = Number.POSITIVE_INFINITY;
  #armed: unknown;
  /** When it is to go off, by the monotonic clock. */
  #expected = 0;

  constructor({ clock, serverTime }: NodeContext, patience: Patience, fire: (actor: LiveActor, now: number) => void) {
    this.#clock = clock;
    this.#patience = patience;
    this.#fire = fire;
    this.#alarms = new AlarmGate(serverTime, clock, (actor) => this.watch(actor));
    serverTime.onStep = () => this.#rearm();
  }

  /** Takes an actor's timers as they are now. */
  set(actor: LiveActor, timers: ActorState["timers"]): void {
    let due = Number.POSITIVE_INFINITY;
    for (const timer of timers) if (timer.due < due) due = timer.due;
    if (due === Number.POSITIVE_INFINITY) return this.#queue.delete(actor);
    this.#later(actor, due);
  }

  /** Takes the timers of an actor, packed or not, if it is still here. */
  watch(actor: LiveActor): void {
    if (actor.shard.actors.get(actor.id) === actor) this.set(actor, actor.state?.timers ?? timersOf(actor.parked));
  }

  /** The first of an actor's timers that may fire now. When there is none, the actor is looked at again at the right time. */
  first(actor: LiveActor, timers: readonly Timer[], now: number): Timer | undefined {
    const [timer] = timers.filter(({ due }) => due <= now).toSorted((a, b) => a.due - b.due);
    if (timer === undefined) this.set(actor, timers);
    else if (this.#alarms.holds(timer)) this.#alarms.wait(actor);
    else return timer;
    return undefined;
  }

  /** Whether a timer that is due waits for an answer that may be on its way. The actor is looked at again then. */
  waits(actor: LiveActor, timer: Timer, behaviour: Behaviour): boolean {
    const again = this.#patience.lookAgain(actor.shard, (gap) => behaviour.mayBeAnswered(actor, timer, gap));
    if (again !== undefined) this.#later(actor, again);
    return again !== undefined;
  }

  delete(actor: LiveActor): void {
    this.#queue.delete(actor);
  }

  stop(): void {
    this.#clock.cancel(this.#armed);
  }

  #later(actor: LiveActor, due: number): void {
    this.#queue.set(actor, due);
    if (due < this.#armedFor) this.#arm(due);
  }

  #arm(due: number): void {
    this.#clock.cancel(this.#armed);
    this.#armedFor = due;
    const delayMs = Math.min(Math.max(0, due - this.#clock.now()), MAX_ARM_MS);
    this.#expected = this.#clock.monotonic() + delayMs;
    this.#armed = this.#clock.after(delayMs, () => this.#pass());
  }

  /** The clock was set: the next timer is due at another moment than before. */
  #rearm(): void {
    const next = this.#queue.peek();
    if (next !== undefined) this.#arm(next.due);
  }

  #pass(): void {
    if (this.#clock.monotonic() - this.#expected > HELD_UP_MS) this.#patience.heldUp();
    this.#armedFor = Number.POSITIVE_INFINITY;
    const now = this.#clock.now();
    const begin = this.#clock.monotonic();
    for (let fired = 0; fired < FIRED_PER_TURN && this.#clock.monotonic() - begin < TURN_MS; fired++) {
      const actor = this.#queue.peek();
      if (actor === undefined || actor.due > now) break;
      this.#queue.delete(actor);
      if (actor.shard.phase === "loading") this.#queue.set(actor, now + LOADING_MS);
      else this.#fire(actor, now);
    }
    const next = this.#queue.peek();
    if (next !== undefined) this.#arm(next.due);
  }
}
