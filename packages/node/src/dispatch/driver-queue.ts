import type { LiveActor, QueuePlace } from "../shard/actor.ts";

/** Two for each priority: the upper one for tasks that had their turn and lost it, with their agent or by a failure. */
const LANES = 20;

/** One that its actor does not point to any more has left. */
interface Entry extends QueuePlace {
  readonly actor: LiveActor;
}

/** The tasks of one driver that wait for a slot: by priority, then first come, where a task that was out before came
 * first. A task that left is skipped when its turn comes. */
export class DriverQueue {
  readonly #lanes: Entry[][] = Array.from({ length: LANES }, () => []);
  readonly #heads: number[] = Array.from({ length: LANES }, () => 0);
  /** Tasks that wait in the queues of all drivers. */
  readonly #all: { waiting: number };
  #waiting = 0;

  constructor(all: { waiting: number } = { waiting: 0 }) {
    this.#all = all;
  }

  /** Tasks that wait. */
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

  /** The task is no longer waiting. */
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

  /** Its priority; 0 when none waits. */
  get priority(): number {
    return Math.floor((this.#first() ?? 0) / 2);
  }

  /** The lane of the next task, which is then at its head. */
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

  /** Gives the room of taken entries back, once they are many. */
  #trim(lane: Entry[], head: number): number {
    if (head < lane.length && head < 1_024) return head;
    lane.splice(0, head);
    return 0;
  }
}
