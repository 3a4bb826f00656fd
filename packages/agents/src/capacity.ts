import { taskDefaults } from "@ergon/core";

import { nextInLine, owed, type Holder } from "./sharing.ts";

/** What a node is to be told: credits that are now its own, how many this agent wants back, or how many it holds in all. */
export interface CreditChange {
  readonly node: string;
  readonly granted?: number;
  readonly recall?: number;
  readonly held?: number;
}

const NOTHING: readonly CreditChange[] = [];

/** A node that waits, or is asked for credits, has no idle ones for long; after so many reviews it has not heard that they are its own. */
const UNHEARD_REVIEWS = 3;

/**
 * The slots of one driver, as credits that nodes hold: whoever dispatches holds a credit for it. Pure: no clock, no wire.
 *
 * - The credits of all nodes together are never more than the slots.
 * - A credit stays with its node after an attempt, until the node releases it or is gone.
 * - While a node waits for credits, none is free, and whoever holds more than the fair share, or has less urgent work, is asked for some.
 * - A credit that is given back goes to the node whose waiting work is the most urgent; among equals they take turns.
 */
export class Capacity {
  readonly slots: number;
  readonly #holders: Map<string, Holder> = new Map();
  #free: number;
  #closed = false;
  #places = 0;

  constructor(slots: number) {
    this.slots = slots;
    this.#free = slots;
  }

  get free(): number {
    return this.#free;
  }

  /** What a node holds: the word that mends a belief of its own. */
  holding(node: string): CreditChange {
    return { node, held: this.#holders.get(node)?.reserved ?? 0 };
  }

  /** A node asks for `want` more, for work of this priority. What it does not get is remembered as its demand, until it asks again. */
  reserve(
    node: string,
    want: number,
    priority: number = taskDefaults.priority,
  ): { readonly granted: number; readonly changes: readonly CreditChange[] } {
    if (this.#closed) return { granted: 0, changes: NOTHING };
    const holder = this.#holder(node);
    holder.gone = false;
    const granted = Math.min(want, this.#free);
    this.#give(holder, granted);
    this.#waits(holder, want - granted, priority);
    const changes = this.#recalls();
    this.#forget(holder);
    return { granted, changes };
  }

  /** A node gives idle credits back, and says what it would have instead, if anything. */
  release(node: string, count: number, want?: number, priority?: number): readonly CreditChange[] {
    const holder = this.#holders.get(node);
    if (holder === undefined) return NOTHING;
    holder.recalled = Math.max(0, holder.recalled - count);
    this.#take(holder, Math.min(count, holder.reserved - holder.running));
    if (want !== undefined && !this.#closed) this.#waits(holder, want, priority ?? holder.priority);
    this.#forget(holder);
    return this.#distribute();
  }

  /** An attempt of `node` begins; false when it has no idle credit and no slot is free. */
  begin(node: string): boolean {
    const holder = this.#holder(node);
    // A dispatch without a node's name is nobody's credit for longer than it runs.
    holder.gone = node === "";
    if (holder.running === holder.reserved) {
      if (this.#free === 0) {
        this.#forget(holder);
        return false;
      }
      this.#give(holder, 1);
    }
    holder.running++;
    holder.leastIdle = Math.min(holder.leastIdle, holder.reserved - holder.running);
    return true;
  }

  /** An attempt of `node` is over. */
  end(node: string): readonly CreditChange[] {
    const holder = this.#holders.get(node);
    if (holder === undefined || holder.running === 0) return NOTHING;
    holder.running--;
    if (!holder.gone) return NOTHING;
    this.#take(holder, 1);
    this.#forget(holder);
    return this.#distribute();
  }

  /** A running attempt, and the credit under it, goes from one node to another, or to none (""): then its slot is free when it ends. */
  move(from: string, to: string): void {
    const giver = this.#holders.get(from);
    if (from === to || giver === undefined || giver.running === 0) return;
    giver.running--;
    this.#take(giver, 1);
    giver.recalled = Math.min(giver.recalled, giver.reserved);
    this.#forget(giver);
    const taker = this.#holder(to);
    taker.gone = to === "";
    this.#give(taker, 1);
    taker.running++;
  }

  /** A node is no more: its idle credits are free, those in use when their attempts end. */
  gone(node: string): readonly CreditChange[] {
    const holder = this.#holders.get(node);
    if (holder === undefined) return NOTHING;
    holder.gone = true;
    holder.demand = 0;
    holder.recalled = 0;
    this.#take(holder, holder.reserved - holder.running);
    this.#forget(holder);
    return this.#distribute();
  }

  /**
   * Says again what may not have been heard: a recall to who still has idle credits, and how many it holds to who waits, or keeps what it
   * was asked for, although it has idle ones. To be called now and then, with the nodes that were heard of since.
   */
  review(isHeard: (node: string) => boolean): readonly CreditChange[] {
    const changes: CreditChange[] = [];
    for (const holder of this.#holders.values()) {
      const { node, demand, leastIdle, recalled } = holder;
      const idle = holder.reserved - holder.running;
      const wouldUse = demand > 0 || recalled > 0;
      holder.idleReviews = wouldUse && leastIdle > 0 && isHeard(node) ? holder.idleReviews + 1 : 0;
      holder.leastIdle = idle;
      const recall = Math.min(idle, recalled);
      // A node that does not know of its credits cannot give them back either.
      const unheard = holder.idleReviews >= UNHEARD_REVIEWS ? this.holding(node) : { node };
      if (recall > 0 && !holder.gone) changes.push({ ...unheard, recall });
      else if (holder.idleReviews >= UNHEARD_REVIEWS) changes.push(unheard);
    }
    return changes;
  }

  /** Grants nothing more. */
  close(): void {
    this.#closed = true;
    for (const holder of this.#holders.values()) holder.demand = 0;
  }

  #holder(node: string): Holder {
    let holder = this.#holders.get(node);
    if (holder === undefined) {
      holder = {
        ...{ node, reserved: 0, running: 0, demand: 0, priority: taskDefaults.priority, place: 0 },
        ...{ recalled: 0, gone: false, leastIdle: 0, idleReviews: 0 },
      };
      this.#holders.set(node, holder);
    }
    return holder;
  }

  #forget(holder: Holder): void {
    if (holder.reserved === 0 && holder.demand === 0) this.#holders.delete(holder.node);
  }

  #give(holder: Holder, count: number): void {
    holder.reserved += count;
    this.#free -= count;
    holder.leastIdle = Math.min(holder.leastIdle, holder.reserved - holder.running);
  }

  #take(holder: Holder, count: number): void {
    if (count > 0) this.#give(holder, -count);
  }

  /** Who begins to wait goes to the end of the line. */
  #waits(holder: Holder, demand: number, priority: number): void {
    if (holder.demand === 0) holder.place = ++this.#places;
    holder.demand = demand;
    holder.priority = priority;
  }

  /** Free credits go to who waits, one by one; who gets one and waits for more goes to the end of the line. */
  #distribute(): readonly CreditChange[] {
    const granted = new Map<string, number>();
    while (this.#free > 0) {
      const next = nextInLine(this.#holders.values());
      if (next === undefined) break;
      this.#give(next, 1);
      next.demand--;
      next.place = ++this.#places;
      granted.set(next.node, (granted.get(next.node) ?? 0) + 1);
    }
    const changes: CreditChange[] = [...granted].map(([node, count]) => ({ node, granted: count }));
    // Nodes that still wait get their slots from the nodes that hold them now.
    return granted.size === 0 ? changes : [...changes, ...this.#recalls()];
  }

  #recalls(): readonly CreditChange[] {
    return [...owed([...this.#holders.values()], this.slots)].map(([holder, recall]) => {
      holder.recalled += recall;
      return { node: holder.node, recall };
    });
  }
}
