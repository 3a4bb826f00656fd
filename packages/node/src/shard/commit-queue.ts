import { backoffMs, type Clock, type CommitResult, type Logger, type RecordStore, type Write } from "@ergon/core";

import type { HomeShard, LiveActor } from "./actor.ts";
import type { Refusal, Settled } from "./writing.ts";

interface Entry {
  readonly actor: LiveActor;
  /** Grows with every change of the actor: what is stored under a higher number holds this one too. */
  sequence: number;
  readonly settled: Settled[];
  /** An earlier try may be stored. */
  doubtful?: boolean;
  /** Most writes of a commit that begins with this one: one of its last commit is refused for itself. */
  most?: number;
  /** How often the record itself was refused. */
  refusals?: number;
  /** Ends its pause after that. */
  timer?: unknown;
}

/** A record that the server does not take pauses so long before it is tried again, unless it changes. */
const refusedPauses = { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 0 };

export interface CommitQueueOptions {
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The actor's record as it is now. Asked for when the write is sent, so that a queued write is always the newest. `undefined`: it has none to be written. */
  readonly encode: (actor: LiveActor) => { readonly data: Uint8Array; readonly ttlMs: number | undefined } | undefined;
  /** Most single writes in flight where they may be pipelined. */
  readonly window: number;
  /** The store refused for its own reasons; the entries are tried again by `retryRefused`. */
  readonly onRefused: (refusal: Refusal) => void;
  /** Hears how every commit went. */
  readonly onResult?: (result: CommitResult) => void;
  /** A write of the shard may or may not be stored, or its fence may be refused: it must be taken again before its queue goes on. */
  readonly onDoubt: (shard: HomeShard) => void;
  /** The actor's first record was refused: it does not exist. */
  readonly onCreationRefused: (actor: LiveActor) => void;
}

/**
 * The writes of one bucket, in order. Where the server takes one commit at a time, everything that has queued goes as one atomic batch (one fsync
 * serves all), or, where that is slower, a few writes go singly; where it takes many, single writes are pipelined. A newer record replaces a
 * queued older one of its actor.
 */
export class CommitQueue {
  readonly #queued = new Map<LiveActor, Entry>();
  /** Writes whose records were refused for themselves. Nobody waits for them: their shards may go, and the next owner goes on from what is stored. */
  readonly #setAside = new Map<LiveActor, Entry>();
  #inFlight = 0;
  /** A batch is in flight: nothing goes beside it. */
  #grouped = false;
  #scheduled = false;
  /** Why the store refused a change of an actor that exists: nothing is sent until {@link CommitQueue.resume}. */
  #stalled: Refusal | undefined;
  readonly #options: CommitQueueOptions;
  readonly #perCommit: number;
  readonly #singles: number;

  constructor(options: CommitQueueOptions) {
    this.#options = options;
    this.#perCommit = options.records.oneInFlight ? options.records.maxWrites : 1;
    this.#singles = options.records.oneInFlight ? options.records.fewSingles : options.window;
  }

  /** Writes that wait, not counting those in flight. */
  get length(): number {
    return this.#queued.size;
  }

  put(actor: LiveActor, settled: Settled): void {
    const sequence = actor.writing.changed();
    // What was not taken as it was may be taken as it is now.
    this.#takeBack(actor);
    const waiting = this.#queued.get(actor);
    if (waiting !== undefined) {
      waiting.sequence = sequence;
      waiting.settled.push(settled);
      return this.#schedule();
    }
    actor.shard.writes++;
    const entry: Entry = { actor, sequence, settled: [settled] };
    this.#queued.set(actor, entry);
    if (this.#stalled !== undefined) queueMicrotask(() => this.#refuseIfNew(entry));
    else this.#schedule();
  }

  /** Goes on after a suspended shard serves again, or after a refusal. */
  resume(): void {
    this.#stalled = undefined;
    this.#schedule();
  }

  /** Forgets an actor that was set aside: what waits to be written of it never is. */
  forget(actor: LiveActor): void {
    this.#takeBack(actor);
    const entry = this.#queued.get(actor);
    if (entry === undefined) return;
    this.#queued.delete(actor);
    this.#settled(entry, NO_RECORD);
  }

  /** Forgets everything of a shard that was lost. */
  drop(shard: HomeShard): void {
    for (const actor of this.#queued.keys()) if (actor.shard === shard) this.#queued.delete(actor);
    for (const [actor, { timer }] of this.#setAside) {
      if (actor.shard !== shard) continue;
      this.#options.clock.cancel(timer);
      this.#setAside.delete(actor);
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#stalled !== undefined || !this.#hasRoom() || this.#queued.size === 0) return;
    this.#scheduled = true;
    // At the end of the turn: whatever one chunk from the socket causes goes together.
    queueMicrotask(() => {
      this.#scheduled = false;
      while (this.#stalled === undefined && this.#hasRoom() && this.#send());
    });
  }

  #hasRoom(): boolean {
    if (this.#grouped) return false;
    return this.#inFlight < this.#singles || (this.#singles > 1 && this.#perCommit > 1 && this.#areMany());
  }

  /** Whether more writes wait than may go singly. */
  #areMany(): boolean {
    return this.#queued.size > this.#singles;
  }

  #send(): boolean {
    const entries: Entry[] = [];
    const writes: Write[] = [];
    let most = this.#singles > 1 && !this.#areMany() ? 1 : this.#perCommit;
    for (const [actor, entry] of this.#queued) {
      if (actor.shard.phase === "suspended") continue;
      most = Math.min(most, entry.most ?? most);
      if (entries.length >= most) break;
      this.#queued.delete(actor);
      if (entry.sequence <= actor.writing.stored) {
        // Tried again after a doubt, but overtaken by a later write of the same actor that is stored.
        this.#settled(entry, undefined);
        continue;
      }
      const record = this.#options.encode(actor);
      if (record === undefined) {
        this.#settled(entry, NO_RECORD);
        continue;
      }
      entry.sequence = actor.writing.sequence;
      entries.push(entry);
      writes.push({ shard: actor.shard.number, id: actor.id, fence: actor.shard.fence, ...record });
      if (entries.length === most) break;
    }
    if (entries.length === 0) return false;
    this.#commit(entries, writes);
    return true;
  }

  #commit(entries: readonly Entry[], writes: readonly Write[]): void {
    this.#inFlight++;
    const isGroup = entries.length > 1;
    if (isGroup) this.#grouped = true;
    for (const { actor } of entries) actor.writing.sent();
    void this.#options.records.commit(writes).then((result) => {
      this.#inFlight--;
      if (isGroup) this.#grouped = false;
      for (const { actor } of entries) actor.writing.answered();
      this.#options.onResult?.(result);
      this.#settle(entries, result);
      this.#schedule();
    });
  }

  #settle(entries: readonly Entry[], result: CommitResult): void {
    const present = entries.filter(({ actor }) => actor.shard.phase !== "closed");
    switch (result.kind) {
      case "committed":
        for (const entry of present) this.#stored(entry, result.revision);
        return;
      case "fenced":
      case "unknown":
        this.#options.logger.warn(
          { writes: entries.length, reason: result.kind === "fenced" ? "fenced" : result.message },
          "a commit is in doubt; this node claims its shards again",
        );
        for (const entry of present) if (result.kind === "unknown") entry.doubtful = true;
        this.#requeue(present);
        for (const shard of shardsOf(present)) this.#options.onDoubt(shard);
        return;
      case "refused":
        this.#refused(present, result);
    }
  }

  #stored(entry: Entry, revision: number): void {
    const { actor, sequence } = entry;
    const { shard } = actor;
    actor.writing.storedUpTo(sequence);
    shard.revision = Math.max(shard.revision, revision);
    shard.writesSinceMark++;
    this.#settled(entry, undefined);
  }

  #settled({ actor: { shard }, settled }: Entry, refusal: Refusal | undefined): void {
    for (const call of settled) {
      try {
        call(refusal);
      } catch (error) {
        // What is stored is stored: the queue goes on, whoever waited for it.
        this.#options.logger.error({ shard: shard.number, err: error }, "the steps after a commit failed");
      }
    }
    this.#leave(shard);
  }

  /** A refused creation is its client's to know; a refused change of a task that exists waits until the store takes it. */
  #refused(entries: readonly Entry[], refusal: Refusal): void {
    const isOfOne = refusal.code === "PAYLOAD_TOO_LARGE" || refusal.code === "NOT_PERMITTED";
    if (isOfOne && entries.length > 1) {
      // One of them is at fault: the halves go one after the other, until it is alone.
      for (const entry of entries) entry.most = Math.ceil(entries.length / 2);
      this.#requeue(entries);
      return;
    }
    const kept: Entry[] = [];
    for (const entry of entries) if (!this.#refuseCreation(entry, refusal)) kept.push(entry);
    if (kept.length === 0) return;
    if (isOfOne) {
      for (const entry of kept) this.#putAside(entry, refusal);
      return;
    }
    this.#requeue(kept);
    this.#stalled = refusal;
    for (const entry of [...this.#queued.values()]) this.#refuseIfNew(entry);
    this.#options.onRefused(refusal);
  }

  /** While the store takes nothing, a creation does not wait behind the changes that do: its client is told at once. */
  #refuseIfNew(entry: Entry): void {
    if (this.#stalled !== undefined && this.#queued.get(entry.actor) === entry)
      this.#refuseCreation(entry, this.#stalled);
  }

  /** Answers whether the entry was to create its actor. */
  #refuseCreation(entry: Entry, refusal: Refusal): boolean {
    const { actor } = entry;
    // Changes of an actor may follow its creation before that is stored. Any of them creates it, so it is refused with the last of them.
    const later = this.#queued.get(actor);
    const { writing } = actor;
    if (writing.stored > 0 || writing.isOut || entry.doubtful === true || later?.doubtful === true) return false;
    this.#options.onCreationRefused(actor);
    this.#queued.delete(actor);
    this.#settled(entry, refusal);
    if (later !== undefined && later !== entry) this.#settled(later, refusal);
    return true;
  }

  /** The record itself is not taken: it pauses, and all others go on. */
  #putAside(entry: Entry, { code, message }: Refusal): void {
    const { actor } = entry;
    const { logger, clock } = this.#options;
    entry.refusals = (entry.refusals ?? 0) + 1;
    const pauseMs = backoffMs(refusedPauses, entry.refusals, 0);
    logger.error(
      { shard: actor.shard.number, id: actor.id, code, reason: message, refusals: entry.refusals, pauseMs },
      "the store refuses an actor's record; the last stored one stays, and the node tries again",
    );
    entry.most = 1;
    // It has changed meanwhile, and goes as it is now.
    if (this.#queued.has(actor)) return this.#requeue([entry]);
    this.#setAside.set(actor, entry);
    entry.timer = clock.after(pauseMs, () => {
      this.#takeBack(actor);
      this.#schedule();
    });
    this.#leave(actor.shard);
  }

  #takeBack(actor: LiveActor): void {
    const entry = this.#setAside.get(actor);
    if (entry === undefined) return;
    this.#options.clock.cancel(entry.timer);
    this.#setAside.delete(actor);
    actor.shard.writes++;
    this.#queued.set(actor, entry);
  }

  /** A write of the shard waits no longer. */
  #leave(shard: HomeShard): void {
    shard.writes--;
    if (shard.writes === 0) shard.onIdle?.();
  }

  /** Back to the head of the queue; an entry that a newer one has overtaken lends it its callbacks. */
  #requeue(entries: readonly Entry[]): void {
    const later = [...this.#queued.values()];
    this.#queued.clear();
    for (const entry of [...entries, ...later]) {
      const earlier = this.#queued.get(entry.actor);
      if (earlier === undefined) this.#queued.set(entry.actor, entry);
      else this.#merge(earlier, entry);
    }
  }

  #merge(earlier: Entry, later: Entry): void {
    if (later.doubtful === true) earlier.doubtful = true;
    earlier.sequence = Math.max(earlier.sequence, later.sequence);
    earlier.settled.push(...later.settled);
    later.actor.shard.writes--;
  }
}

/** Of an actor that was set aside: whoever asks again is told why. */
export const NO_RECORD: Refusal = {
  kind: "refused",
  code: "STORE_UNAVAILABLE",
  message: "the task or instance was set aside, and its change is not stored; ask again for the reason",
};

function shardsOf(entries: readonly Entry[]): HomeShard[] {
  return [...new Set(entries.map(({ actor }) => actor.shard))];
}
