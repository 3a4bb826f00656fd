import type { LiveActor, QueuePlace } from "../shard/actor.ts";

/** The number of lanes, two for each priority. The upper lane holds tasks that had their turn and lost it by the loss of their agent or by a failure. */
const LANES = 20;

/** An entry of the queue. If its actor no longer points to it, the task has left. */
interface Entry extends QueuePlace {
  readonly actor: LiveActor;
}

/**
 * The tasks of one driver that wait for a slot, by priority and then by arrival. A task that was out before precedes the others of its priority. The
 * queue skips a task that has left when its turn comes.
 */
export class DriverQueue {
  readonly #lanes: Entry[][] = Array.from({ length: LANES }, () => []);
  readonly #heads: number[] = Array.from({ length: LANES }, () => 0);
  /** The number of tasks that wait in the queues of all drivers. */
  readonly #all: { waiting: number };
  #waiting = 0;

  constructor(all: { waiting: number } = { waiting: 0 }) {
    this.#all = all;
  }

  /** The number of tasks that wait. */
  get size(): number {
    return this.#waiting;
  }

  add(actor: LiveActor, priority: number, wasOut = false): void {
    if (actor.queued !== undefined) return;
    const entry: Entry = { actor, queue: this };
    actor.queued = entry;
    this.#waiting++;
    this.#all.waiting++;
    this.#lanes[2 * priority + (wasOut ? 1 : 0)]?.push(entry);
  }

  /** The task no longer waits. */
  remove(actor: LiveActor): void {
    if (actor.queued?.queue !== this) return;
    actor.queued = undefined;
    this.#waiting--;
    this.#all.waiting--;
  }

  /** The next task. */
  peek(): LiveActor | undefined {
    const lane = this.#first();
    return lane === undefined ? undefined : this.#lanes[lane]?.[this.#heads[lane] ?? 0]?.actor;
  }

  /** The priority of the next task, or 0 if none waits. */
  get priority(): number {
    return Math.floor((this.#first() ?? 0) / 2);
  }

  /** Finds the lane of the next task, and moves the head of the lane to that task. */
  #first(): number | undefined {
    if (this.#waiting === 0) return undefined;
    for (let lane = LANES - 1; lane >= 0; lane--) {
      const entries = this.#lanes[lane] ?? [];
      let head = this.#heads[lane] ?? 0;
      while (head < entries.length) {
        const entry = entries[head];
        if (entry !== undefined && entry.actor.queued === entry) break;
        head++;
      }
      const found = head < entries.length;
      this.#heads[lane] = this.#trim(entries, head);
      if (found) return lane;
    }
    return undefined;
  }

  /** Frees the room of taken entries after there are many of them. */
  #trim(lane: Entry[], head: number): number {
    if (head < lane.length && head < 1_024) return head;
    lane.splice(0, head);
    return 0;
  }
}
