import { type Clock, type Logger } from "@ergon/core";
import { backoffMs, type CommitResult, type RecordStore, type Write } from "@ergon/core/engine";

import type { HomeShard, LiveActor } from "./actor.ts";
import type { Refusal, Settled } from "./writing.ts";

interface Entry {
  readonly actor: LiveActor;
  /** The number of the actor's change. A record that was stored under a higher number holds this change too. */
  sequence: number;
  readonly settled: Settled[];
  /** The store may hold an earlier try of this write. */
  doubtful?: boolean;
  /** The most writes of a commit that begins with this one, after the store refused a commit because of one record in it. */
  most?: number;
  /** The number of times that the store refused the record itself. */
  refusals?: number;
  /** The timer that ends the pause after a refusal. */
  timer?: unknown;
}

/** The pauses before the queue tries a refused record again. A change of the record ends the pause. */
const refusedPauses = { initialMs: 1_000, factor: 2, maxMs: 60_000, jitter: 0 };

export interface CommitQueueOptions {
  readonly records: RecordStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /**
   * Encodes the actor's record, or returns `undefined` if there is no record to write. The queue calls it when it sends the write, so that a write
   * always carries the newest state.
   */
  readonly encode: (actor: LiveActor) => { readonly data: Uint8Array; readonly ttlMs: number | undefined } | undefined;
  /** The most single writes in flight, for a store that takes several at a time. */
  readonly window: number;
  /** The store refused every write, whatever its record. The queue sends nothing until `resume`. */
  readonly onRefused: (refusal: Refusal) => void;
  /** The queue calls this with the result of every commit. */
  readonly onResult?: (result: CommitResult) => void;
  /** The result of a write of the shard is not known, or the server refused its fence. Take the shard again, otherwise its queue stays stopped. */
  readonly onDoubt: (shard: HomeShard) => void;
  /** The store refused the actor's first record, so the actor does not exist. */
  readonly onCreationRefused: (actor: LiveActor) => void;
}

/**
 * The writes of one bucket, in order. If the server takes one commit at a time, the queue sends everything that waits as one atomic batch (one fsync
 * serves all), or a few writes singly where that is faster. Otherwise it pipelines single writes. A newer record of an actor replaces its queued
 * older one.
 */
export class CommitQueue {
  readonly #queued = new Map<LiveActor, Entry>();
  /** Writes whose records the store refused, during their pause. No drain waits for them: the shard may move, and its next owner continues from the stored record. */
  readonly #paused = new Map<LiveActor, Entry>();
  #inFlight = 0;
  /** A batch is in flight: the queue sends nothing beside it. */
  #grouped = false;
  #scheduled = false;
  /** The reason why the store takes no writes. The queue sends nothing until {@link CommitQueue.resume}. */
  #stalled: Refusal | undefined;
  readonly #options: CommitQueueOptions;
  readonly #perCommit: number;
  readonly #singles: number;

  constructor(options: CommitQueueOptions) {
    this.#options = options;
    this.#perCommit = options.records.oneInFlight ? options.records.maxWrites : 1;
    this.#singles = options.records.oneInFlight ? options.records.fewSingles : options.window;
  }

  /** The number of writes that wait, without those in flight. */
  get length(): number {
    return this.#queued.size;
  }

  put(actor: LiveActor, settled: Settled): void {
    const sequence = actor.writing.changed();
    // The store may take the changed record, though it refused the one before.
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

  /** Sends again, after a suspended shard serves again or after a refusal. */
  resume(): void {
    this.#stalled = undefined;
    this.#schedule();
  }

  /** Drops the queued write of an actor that the node has set aside. */
  forget(actor: LiveActor): void {
    this.#takeBack(actor);
    const entry = this.#queued.get(actor);
    if (entry === undefined) return;
    this.#queued.delete(actor);
    this.#settled(entry, NO_RECORD);
  }

  /** Drops every queued write of a shard that this node has lost. */
  drop(shard: HomeShard): void {
    for (const actor of this.#queued.keys()) if (actor.shard === shard) this.#queued.delete(actor);
    for (const [actor, { timer }] of this.#paused) {
      if (actor.shard !== shard) continue;
      this.#options.clock.cancel(timer);
      this.#paused.delete(actor);
    }
  }

  #schedule(): void {
    if (this.#scheduled || this.#stalled !== undefined || !this.#hasRoom() || this.#queued.size === 0) return;
    this.#scheduled = true;
    // Wait for the end of the turn, so that all writes that one chunk from the socket causes go together.
    queueMicrotask(() => {
      this.#scheduled = false;
      while (this.#stalled === undefined && this.#hasRoom() && this.#send());
    });
  }

  #hasRoom(): boolean {
    if (this.#grouped) return false;
    return this.#inFlight < this.#singles || (this.#singles > 1 && this.#perCommit > 1 && this.#areMany());
  }

  /** Tells whether too many writes wait to send them singly. */
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
        // The queue kept this write after a doubt, and the store holds a later one of the same actor by now.
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
      this.#conclude(entries, result);
      this.#schedule();
    });
  }

  #conclude(entries: readonly Entry[], result: CommitResult): void {
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
        // Log and continue, otherwise one callback would stop the queue. The record is stored in any case.
        this.#options.logger.error({ shard: shard.number, err: error }, "the steps after a commit failed");
      }
    }
    this.#leave(shard);
  }

  /** Reports a refused creation to its client. Keeps a refused change of an existing actor until the store takes it, otherwise the change would be lost. */
  #refused(entries: readonly Entry[], refusal: Refusal): void {
    const isOfOne = refusal.code === "PAYLOAD_TOO_LARGE" || refusal.code === "NOT_PERMITTED";
    if (isOfOne && entries.length > 1) {
      // One record is at fault. Send the halves one after the other until that record is alone, otherwise the others would never be stored.
      for (const entry of entries) entry.most = Math.ceil(entries.length / 2);
      this.#requeue(entries);
      return;
    }
    const kept: Entry[] = [];
    for (const entry of entries) if (!this.#refuseCreation(entry, refusal)) kept.push(entry);
    if (kept.length === 0) return;
    if (isOfOne) {
      for (const entry of kept) this.#pause(entry, refusal);
      return;
    }
    this.#requeue(kept);
    this.#stalled = refusal;
    for (const entry of [...this.#queued.values()]) this.#refuseIfNew(entry);
    this.#options.onRefused(refusal);
  }

  /** While the store takes no writes, refuse a creation at once: its client can try elsewhere, otherwise it would wait for the store. */
  #refuseIfNew(entry: Entry): void {
    if (this.#stalled !== undefined && this.#queued.get(entry.actor) === entry)
      this.#refuseCreation(entry, this.#stalled);
  }

  /** Returns whether the write was to create its actor, and is refused. */
  #refuseCreation(entry: Entry, refusal: Refusal): boolean {
    const { actor } = entry;
    // Several changes may follow a creation before it is stored, and each of them would create the actor. So refuse the last of them too.
    const later = this.#queued.get(actor);
    const { writing } = actor;
    if (writing.stored > 0 || writing.isOut || entry.doubtful === true || later?.doubtful === true) return false;
    this.#options.onCreationRefused(actor);
    this.#queued.delete(actor);
    this.#settled(entry, refusal);
    if (later !== undefined && later !== entry) this.#settled(later, refusal);
    return true;
  }

  /** The store does not take this record: it waits for its next try, and all others continue. */
  #pause(entry: Entry, { code, message }: Refusal): void {
    const { actor } = entry;
    const { logger, clock } = this.#options;
    entry.refusals = (entry.refusals ?? 0) + 1;
    const pauseMs = backoffMs(refusedPauses, entry.refusals, 0);
    logger.error(
      { shard: actor.shard.number, id: actor.id, code, reason: message, refusals: entry.refusals, pauseMs },
      "the store refuses an actor's record; the last stored one stays, and the node tries again",
    );
    entry.most = 1;
    // The actor has changed meanwhile: send the new record at once.
    if (this.#queued.has(actor)) return this.#requeue([entry]);
    this.#paused.set(actor, entry);
    entry.timer = clock.after(pauseMs, () => {
      this.#takeBack(actor);
      this.#schedule();
    });
    this.#leave(actor.shard);
  }

  #takeBack(actor: LiveActor): void {
    const entry = this.#paused.get(actor);
    if (entry === undefined) return;
    this.#options.clock.cancel(entry.timer);
    this.#paused.delete(actor);
    actor.shard.writes++;
    this.#queued.set(actor, entry);
  }

  /** The shard waits for one write less. */
  #leave(shard: HomeShard): void {
    shard.writes--;
    if (shard.writes === 0) shard.onIdle?.();
  }

  /** Puts entries back at the head of the queue. An older entry of an actor takes over the callbacks of a newer one. */
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

/** The refusal for an actor that the node has set aside. A later request for it gets the reason. */
export const NO_RECORD: Refusal = {
  kind: "refused",
  code: "STORE_UNAVAILABLE",
  message: "the node set the task or instance aside and did not store its change; read it to see the reason",
};

function shardsOf(entries: readonly Entry[]): HomeShard[] {
  return [...new Set(entries.map(({ actor }) => actor.shard))];
}
