import { taskMachine, type Fence, type Machine, type Message, type Subscription } from "@ergon/core";

import type { LiveActor } from "./actor.ts";
import type { Shard, ShardPhase } from "./shard.ts";

/** Between the id of an actor and the number of a task that is embedded in its record; no id has it. */
const EMBEDDED = "~";

export function embeddedId(id: string, key: number): string {
  return `${id}${EMBEDDED}${key}`;
}

/** The actor and the number that the id of an embedded task is made of; `undefined` for an id of another kind. */
export function embeddedIn(id: string): { readonly id: string; readonly key: number } | undefined {
  const mark = id.indexOf(EMBEDDED);
  return mark < 0 ? undefined : { id: id.slice(0, mark), key: Number(id.slice(mark + 1)) };
}

/** A machine that no record of the shard needs any more counts as needed for so long. */
const KEEP_MS = 30_000;

/** A shard that this node hosts, or is about to. */
export class HostedShard implements Shard<LiveActor> {
  fence: Fence = 0;
  phase: ShardPhase = "loading";
  /** Since when this node serves it, epoch milliseconds. */
  servedAt = 0;
  readonly actors: Map<string, LiveActor> = new Map();
  /** Records that cannot be read here, by id, with the reason; left as they are (B-21). */
  readonly unreadable: Map<string, string> = new Map();
  /** The unreadable records that wait for a machine that is not known here, with that machine as `name@version`. */
  readonly waiting: Map<string, string> = new Map();
  /** Whether another node knows a machine, and all else that this shard needs. */
  isKnownElsewhere: (machine: string) => boolean = () => false;
  /** Called when {@link HostedShard.needs} has changed. */
  onNeeds: (() => void) | undefined;
  /** Messages that came while the shard could not serve them. */
  buffer: Message[] = [];
  subscription: Subscription | undefined;
  /** Writes queued or in flight, and who waits for none. */
  writes = 0;
  onIdle: (() => void) | undefined;
  /** The newest revision of its records that this node knows, and the writes since the last mark. */
  revision = 0;
  writesSinceMark = 0;
  readonly number: number;
  readonly bucket: number;
  /** How many of its records need each machine, and since when none does. */
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

  /** Takes an actor out, if it is this one that is there. */
  remove(actor: LiveActor): void {
    if (this.actors.get(actor.id) !== actor) return;
    this.actors.delete(actor.id);
    this.#count(actor.machine, -1);
  }

  /** Sets a record aside that cannot be read here; `machine`: it waits for that one. */
  setAside(id: string, reason: string, machine?: string): void {
    const actor = this.actors.get(id);
    if (actor !== undefined) this.remove(actor);
    this.unreadable.set(id, reason);
    if (machine === undefined || this.waiting.has(id)) return;
    this.waiting.set(id, machine);
    this.#countKey(machine, 1);
  }

  /** Somebody wants to start an instance of a machine that is not known here: until then, by the monotonic clock, it counts as needed. */
  want(machine: string, now: number, until: number): void {
    const before = this.#wanted.get(machine) ?? 0;
    this.#wanted.set(machine, until);
    if (before <= now) this.onNeeds?.();
  }

  /** The machines that its records need or did lately, as `name@version`, but `task`, which every node knows. */
  needs(now: number): readonly string[] {
    for (const [machine, until] of this.#wanted) if (until <= now) this.#wanted.delete(machine);
    for (const [machine, kind] of this.#kinds) {
      if (kind.count > 0) continue;
      // Instances that come and go must not make a write of each.
      kind.idleSince ??= now;
      if (now - kind.idleSince >= KEEP_MS) this.#kinds.delete(machine);
    }
    return [...new Set([...this.#kinds.keys(), ...this.#wanted.keys()])];
  }

  /** Forgets all that is in it. */
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

  /** The live actor of an id, or the task embedded in one: `<id>~<number>`. */
  find(id: string): LiveActor | undefined {
    const embedded = embeddedIn(id);
    if (embedded === undefined) return this.actors.get(id);
    return this.actors.get(embedded.id)?.embedded?.get(embedded.key);
  }
}

/** Live actors of all shards. */
export function liveIn(hosted: ReadonlyMap<number, HostedShard>): number {
  let live = 0;
  for (const { actors } of hosted.values()) live += actors.size;
  return live;
}
