import { type Machine, type Message, type Subscription } from "@ergon/core";
import { taskMachine, type Fence } from "@ergon/core/engine";

import type { LiveActor } from "./actor.ts";
import type { Shard, ShardPhase } from "./shard.ts";

/** The mark between the id of an actor and the number of a task that is embedded in its record. No id contains it. */
const EMBEDDED = "~";

export function embeddedId(id: string, key: number): string {
  return `${id}${EMBEDDED}${key}`;
}

/** Splits the id of an embedded task into its actor and its number. Returns `undefined` for an id of another kind. */
export function embeddedIn(id: string): { readonly id: string; readonly key: number } | undefined {
  const mark = id.indexOf(EMBEDDED);
  return mark < 0 ? undefined : { id: id.slice(0, mark), key: Number(id.slice(mark + 1)) };
}

/** The time for which a machine still counts as needed after no record of the shard needs it. */
const KEEP_MS = 30_000;

/** A shard that this node hosts or is about to host. */
export class HostedShard implements Shard<LiveActor> {
  fence: Fence = 0;
  phase: ShardPhase = "loading";
  /** The time at which this node began to serve it, in epoch milliseconds. */
  servedAt = 0;
  readonly actors: Map<string, LiveActor> = new Map();
  /** The records that this node cannot read, by id, with the reason. The node leaves them as they are (B-21). */
  readonly unreadable: Map<string, string> = new Map();
  /** The unreadable records that wait for a machine that this node does not know, with that machine as `name@version`. */
  readonly waiting: Map<string, string> = new Map();
  /** Tells whether another node knows a machine, and everything else that this shard needs. */
  isKnownElsewhere: (machine: string) => boolean = () => false;
  /** The shard calls this when {@link HostedShard.needs} has changed. */
  onNeeds: (() => void) | undefined;
  /** The messages that arrived while the shard could not serve them. */
  buffer: Message[] = [];
  subscription: Subscription | undefined;
  /** The number of writes that are queued or in flight, and the callbacks that wait until there are none. */
  writes = 0;
  onIdle: (() => void) | undefined;
  /** The newest revision of its records that this node knows, and the number of writes since the last mark. */
  revision = 0;
  writesSinceMark = 0;
  readonly number: number;
  readonly bucket: number;
  /** The number of its records that need each machine, and the time since which none needs it. */
  readonly #kinds = new Map<string, { count: number; idleSince: number | undefined }>();
  readonly #wanted = new Map<string, number>();

  constructor(number: number, bucket: number) {
    this.number = number;
    this.bucket = bucket;
  }

  add(actor: LiveActor): void {
    const before = this.actors.get(actor.id);
    if (before !== undefined) this.remove(before);
    this.actors.set(actor.id, actor);
    this.#count(actor.machine, 1);
  }

  /** Removes an actor, unless another actor has its id by now. */
  remove(actor: LiveActor): void {
    if (this.actors.get(actor.id) !== actor) return;
    this.actors.delete(actor.id);
    this.#count(actor.machine, -1);
  }

  /** Sets a record aside that this node cannot read. `machine` is the machine for which the record waits. */
  setAside(id: string, reason: string, machine?: string): void {
    const actor = this.actors.get(id);
    if (actor !== undefined) this.remove(actor);
    this.unreadable.set(id, reason);
    if (machine === undefined || this.waiting.has(id)) return;
    this.waiting.set(id, machine);
    this.#countKey(machine, 1);
  }

  /** Somebody wants to start an instance of a machine that this node does not know. The machine counts as needed until then, by the monotonic clock. */
  want(machine: string, now: number, until: number): void {
    const before = this.#wanted.get(machine) ?? 0;
    this.#wanted.set(machine, until);
    if (before <= now) this.onNeeds?.();
  }

  /** The machines that its records need or needed lately, as `name@version`, without `task`, which every node knows. */
  needs(now: number): readonly string[] {
    for (const [machine, until] of this.#wanted) if (until <= now) this.#wanted.delete(machine);
    for (const [machine, kind] of this.#kinds) {
      if (kind.count > 0) continue;
      // Short-lived instances must not cause a write each.
      kind.idleSince ??= now;
      if (now - kind.idleSince >= KEEP_MS) this.#kinds.delete(machine);
    }
    return [...new Set([...this.#kinds.keys(), ...this.#wanted.keys()])];
  }

  /** Removes everything that the shard holds. */
  clear(): void {
    this.actors.clear();
    this.unreadable.clear();
    this.waiting.clear();
    this.#kinds.clear();
  }

  #count(machine: Machine, change: 1 | -1): void {
    if (machine !== taskMachine) this.#countKey(`${machine.name}@${machine.version}`, change);
  }

  #countKey(machine: string, change: 1 | -1): void {
    const kind = this.#kinds.get(machine);
    if (kind === undefined) {
      this.#kinds.set(machine, { count: change, idleSince: undefined });
      this.onNeeds?.();
      return;
    }
    kind.count += change;
    if (kind.count > 0) kind.idleSince = undefined;
  }

  /** Finds the live actor of an id, or the task that is embedded in one: `<id>~<number>`. */
  find(id: string): LiveActor | undefined {
    const embedded = embeddedIn(id);
    if (embedded === undefined) return this.actors.get(id);
    return this.actors.get(embedded.id)?.embedded?.get(embedded.key);
  }
}

/** Lists the live actors of all shards. */
export function liveIn(hosted: ReadonlyMap<number, HostedShard>): number {
  let live = 0;
  for (const { actors } of hosted.values()) live += actors.size;
  return live;
}
