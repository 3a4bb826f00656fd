import { taskDefaults } from "@ergon/core";

import { nextInLine, owed, type Holder } from "./sharing.ts";

/** A message to a node: the credits that it gets, how many this agent wants back, or how many it holds in all. */
export interface CreditChange {
  readonly node: string;
  readonly granted?: number;
  readonly recall?: number;
  readonly held?: number;
}

const NOTHING: readonly CreditChange[] = [];

/** A node that waits, or is asked for credits, soon uses or returns its idle ones. If it still has some after this many reviews, it has not heard that it holds them. */
const UNHEARD_REVIEWS = 3;

/**
 * The slots of one driver, as credits that nodes hold: a node needs a credit for each dispatch. Pure: no clock, no wire.
 *
 * - The credits of all nodes together are never more than the slots.
 * - A credit stays with its node after an attempt, until the node releases it or is gone.
 * - While a node waits for credits, none is free, and the agent recalls some from nodes that hold more than the fair share, or have less urgent work.
 * - A returned credit goes to the node whose waiting work is the most urgent; among equals they take turns.
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

  /** The number of credits that a node holds: this message corrects a wrong count of the node. */
  holding(node: string): CreditChange {
    return { node, held: this.#holders.get(node)?.reserved ?? 0 };
  }

  /** A node asks for `want` more, for work of this priority. The agent remembers the rest as the node's demand, until the node asks again. */
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

  /** A node gives idle credits back, and says how many it wants instead, if any. */
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
    // A dispatch without a node's name uses a slot only while it runs: no node holds the credit afterwards.
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

  /** A node is gone: its idle credits are free at once, and the others when their attempts end. */
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
   * Repeats messages that may have been lost: a recall, to a node that still has idle credits; and the number of its credits, to a node with idle
   * credits that waits for more, or keeps the recalled ones. Call it at regular times, with the nodes that were heard since the last call.
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

  /** A node that begins to wait goes to the end of the line. */
  #waits(holder: Holder, demand: number, priority: number): void {
    if (holder.demand === 0) holder.place = ++this.#places;
    holder.demand = demand;
    holder.priority = priority;
  }

  /** Free credits go to waiting nodes, one by one. A node that gets one and waits for more goes to the end of the line. */
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
