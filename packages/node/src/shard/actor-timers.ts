import type { Clock } from "@ergon/core";
import type { ActorState, Timer } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import { timersOf } from "./actor-records.ts";
import type { LiveActor } from "./actor.ts";
import { AlarmGate } from "./alarm-gate.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Patience } from "./patience.ts";
import { TimerQueue } from "./timer-queue.ts";

/** The number of actors whose timers fire in one turn before the network gets its turn. */
const FIRED_PER_TURN = 512;
/** The duration of such a turn, because the step of a timer may be slow. */
const TURN_MS = 10;
/** The node arms a far timer in pieces, because platforms hold timers of no more than about 24 days, and the clock may be corrected meanwhile. */
const MAX_ARM_MS = 30_000;
/** The pause before the node looks again at a timer of a shard that is still loading. */
const LOADING_MS = 50;
/** If the timers of a process are later than this, the process stood still. */
const HELD_UP_MS = 500;

/** The timers of all actors of a node in memory, ordered by due time. The node makes them from records (law 6). */
export class ActorTimers {
  readonly #queue = new TimerQueue<LiveActor>();
  readonly #clock: Clock;
  readonly #alarms: AlarmGate;
  readonly #patience: Patience;
  readonly #fire: (actor: LiveActor, now: number) => void;
  #armedFor = Number.POSITIVE_INFINITY;
  #armed: unknown;
  /** The due time by the monotonic clock. */
  #expected = 0;

  constructor({ clock, serverTime }: NodeContext, patience: Patience, fire: (actor: LiveActor, now: number) => void) {
    this.#clock = clock;
    this.#patience = patience;
    this.#fire = fire;
    this.#alarms = new AlarmGate(serverTime, clock, (actor) => this.watch(actor));
    serverTime.onStep = () => this.#rearm();
  }

  /** Replaces the timers of an actor. */
  set(actor: LiveActor, timers: ActorState["timers"]): void {
    let due = Number.POSITIVE_INFINITY;
    for (const timer of timers) if (timer.due < due) due = timer.due;
    if (due === Number.POSITIVE_INFINITY) return this.#queue.delete(actor);
    this.#later(actor, due);
  }

  /** Replaces the timers of an actor, packed or not, if this node still hosts it. */
  watch(actor: LiveActor): void {
    if (actor.shard.actors.get(actor.id) === actor) this.set(actor, actor.state?.timers ?? timersOf(actor.parked));
  }

  /** Returns the first of an actor's timers that may fire now. If there is none, the node looks at the actor again when one is due. */
  first(actor: LiveActor, timers: readonly Timer[], now: number): Timer | undefined {
    const [timer] = timers.filter(({ due }) => due <= now).toSorted((a, b) => a.due - b.due);
    if (timer === undefined) this.set(actor, timers);
    else if (this.#alarms.holds(timer)) this.#alarms.wait(actor);
    else return timer;
    return undefined;
  }

  /** Tells whether a due timer waits for an answer that may be on its way. The node then looks at the actor again later. */
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

  /** Somebody set the clock, so the due time of the next timer has moved. */
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
