import type { LiveActor } from "../shard/actor.ts";

const PRIORITIES = 10;

interface Entry {
  readonly actor: LiveActor;
  readonly ticket: number;
}

/** The tasks of one driver that wait for a slot: by priority, then first come. A task that left is skipped when its turn comes. */
export class DriverQueue {
  readonly #lanes: Entry[][] = Array.from({ length: PRIORITIES }, () => []);
  readonly #heads: number[] = Array.from({ length: PRIORITIES }, () => 0);
  #tickets = 0;
  #waiting = 0;

  /** Tasks that wait. */
  get size(): number {
    return this.#waiting;
  }

  add(actor: LiveActor, priority: number): void {
    if (actor.ticket !== 0) return;
    actor.ticket = ++this.#tickets;
    this.#waiting++;
    this.#lanes[priority]?.push({ actor, ticket: actor.ticket });
  }

  /** The task is no longer waiting. */
  remove(actor: LiveActor): void {
    if (actor.ticket === 0) return;
    actor.ticket = 0;
    this.#waiting--;
  }

  /** Takes the next task out. */
  take(): LiveActor | undefined {
    const actor = this.peek();
    if (actor !== undefined) this.remove(actor);
    return actor;
  }

  peek(): LiveActor | undefined {
    if (this.#waiting === 0) return undefined;
    for (let priority = PRIORITIES - 1; priority >= 0; priority--) {
      const lane = this.#lanes[priority] ?? [];
      let head = this.#heads[priority] ?? 0;
      while (head < lane.length) {
        const entry = lane[head];
        if (entry !== undefined && entry.actor.ticket === entry.ticket) break;
        head++;
      }
      const found = lane[head]?.actor;
      this.#heads[priority] = this.#trim(lane, head);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Gives the room of taken entries back, once they are many. */
  #trim(lane: Entry[], head: number): number {
    if (head < lane.length && head < 1_024) return head;
    lane.splice(0, head);
    return 0;
  }
}
