import {
  begin,
  decodeFields,
  decodeRecord,
  encodeRecord,
  step,
  type ActorState,
  type Effect,
  type Machine,
  type MachineRegistry,
  type TimedEvent,
} from "@ergon/core";

import type { NodeContext } from "../node-context.ts";
import { LiveActor } from "./actor.ts";
import { CommitQueue, type Refusal, type Settled } from "./commit-queue.ts";
import type { HostedShard } from "./hosted-shard.ts";
import { TimerQueue } from "./timer-queue.ts";
import { Woken } from "./woken.ts";

/** What a kind of machine needs of its host beyond being stepped: `task` is one kind. */
export interface Behaviour {
  /** After a transition and before its commit: may take further steps that belong into the same write. */
  settle(actor: LiveActor): void;
  /** Performs an effect whose record is stored. */
  perform(actor: LiveActor, effect: Effect): void;
  /** After a record was stored, and its effects were performed. `ended`: it was the last. */
  stored(actor: LiveActor, ended: boolean): void;
  /** The shard brought the actor back from its record. */
  restored(actor: LiveActor): void;
  /** The actor leaves this host: its shard is gone, or it was never stored. */
  dropped(actor: LiveActor): void;
  /** How long an ended record stays readable. */
  retentionMs(state: ActorState): number;
  /** Whether nothing but a far timer or an event can move the actor, so that its bytes suffice. */
  parks(state: ActorState): boolean;
}

export interface HostOptions {
  readonly context: NodeContext;
  readonly machines: MachineRegistry;
  /** By machine name. */
  readonly behaviours: ReadonlyMap<string, Behaviour>;
  readonly hosted: ReadonlyMap<number, HostedShard>;
  /** A write of the shard may or may not be stored, or the server refused a fence: the shard must be taken again. */
  readonly onDoubt: (shard: HostedShard) => void;
}

/** A timer nearer than this keeps its actor unpacked. */
const PARK_MS = 5_000;
/** Timers fired in one turn, before the network gets its turn again. */
const TIMERS_PER_TURN = 512;
const RETRY_REFUSED_MS = 1_000;
const PIPELINE_WINDOW = 2_048;

/** The shell around the pure core: keeps actors, steps them, stores them, and performs their effects afterwards (laws 1, 2, 9). */
export class Host {
  readonly #options: HostOptions;
  readonly #queues: readonly CommitQueue[];
  readonly #timers = new TimerQueue<LiveActor>();
  #armedFor = Number.POSITIVE_INFINITY;
  #armed: unknown;
  readonly #woken: Woken;
  #retrying = false;
  /** The last refusal by the store, until something was stored again. */
  refusal: Refusal | undefined;

  constructor(options: HostOptions) {
    this.#options = options;
    const {
      ports: { records },
      logger,
      clock,
    } = options.context;
    this.#woken = new Woken(clock, (actor) => this.#parkIfIdle(actor));
    this.#queues = Array.from(
      { length: records.buckets },
      () =>
        new CommitQueue({
          records,
          logger,
          window: PIPELINE_WINDOW,
          encode: (actor) => this.#encode(actor),
          onDoubt: options.onDoubt,
          onCreationRefused: (actor) => this.#forget(actor),
          onRefused: (refusal) => {
            this.refusal = refusal;
            // Many writes are refused at once: one of them has it tried again.
            if (this.#retrying) return;
            this.#retrying = true;
            logger.error(
              { code: refusal.code, reason: refusal.message },
              "the store refuses writes; tried again every second",
            );
            clock.after(RETRY_REFUSED_MS, () => {
              this.#retrying = false;
              this.resume();
            });
          },
        }),
    );
  }

  /** Writes that wait for the store. */
  get backlog(): number {
    return this.#queues.reduce((sum, queue) => sum + queue.length, 0);
  }

  /** Live actors of all shards here. */
  get live(): number {
    let live = 0;
    for (const shard of this.#options.hosted.values()) live += shard.actors.size;
    return live;
  }

  /** Goes on with writes that were held back. */
  resume(): void {
    for (const queue of this.#queues) queue.resume();
  }

  /** Starts an actor and stores it; `settled` hears when it is stored or refused. */
  create(shard: HostedShard, id: string, machine: Machine, input: unknown, at: number, settled: Settled): LiveActor {
    const actor = new LiveActor(id, shard, machine);
    const turn = begin(machine, input, at);
    actor.state = turn.state;
    actor.scheduledAt = at;
    actor.effects.push(...turn.effects);
    shard.actors.set(id, actor);
    this.#behaviour(actor).settle(actor);
    this.commit(actor, settled);
    return actor;
  }

  /** Delivers an event and stores the outcome. Answers whether the actor took the event; `settled` is called only then. */
  send(actor: LiveActor, event: EventWithoutTime, settled: Settled = ignore): boolean {
    if (!this.transition(actor, event)) return false;
    this.#behaviour(actor).settle(actor);
    this.commit(actor, settled);
    return true;
  }

  /** Delivers an event that what is stored leads to anyway: only what the event makes the actor do needs a write. */
  sendKnown(actor: LiveActor, event: EventWithoutTime): void {
    if (!this.transition(actor, event)) return;
    this.#behaviour(actor).settle(actor);
    if (actor.effects.length > 0) return this.commit(actor, ignore);
    this.#schedule(actor, this.wake(actor));
    this.#parkIfIdle(actor);
  }

  /** Delivers an event without storing the outcome: the caller commits. Answers whether the actor took it. */
  transition(actor: LiveActor, event: EventWithoutTime): boolean {
    const state = this.wake(actor);
    const turn = step(actor.machine, state, this.#timed(state, event));
    if (turn.state.snapshot === state.snapshot) return false;
    actor.state = turn.state;
    if (turn.effects.length > 0) actor.effects.push(...turn.effects);
    return true;
  }

  commit(actor: LiveActor, settled: Settled): void {
    const { effects } = actor;
    actor.effects = [];
    const state = this.wake(actor);
    const ended = state.snapshot.status !== "active";
    const sequence = actor.sequence + 1;
    this.#schedule(actor, state);
    this.#queue(actor).put(actor, (refusal) => {
      if (refusal === undefined) {
        this.refusal = undefined;
        // A write that was in doubt may settle after a later one.
        if (sequence > actor.committedAt) {
          actor.committedAt = sequence;
          actor.committed = state;
        }
        const behaviour = this.#behaviour(actor);
        for (const effect of effects) behaviour.perform(actor, effect);
        settled(undefined);
        if (ended) this.#forget(actor);
        behaviour.stored(actor, ended);
        this.#tellWaiting(actor, undefined);
        this.#parkIfIdle(actor);
      } else {
        settled(refusal);
        this.#tellWaiting(actor, refusal);
      }
    });
  }

  /** The actor's state as it is stored, or `undefined` while its first write is under way. */
  committed(actor: LiveActor): ActorState | undefined {
    this.wake(actor);
    return actor.committed;
  }

  /** Calls `run` when what the actor is now is stored, or its creation was refused. Not called when the shard is lost. */
  whenStored(actor: LiveActor, run: Settled): void {
    if (actor.stored >= actor.sequence) run(undefined);
    else (actor.waiting ??= []).push({ sequence: actor.sequence, run });
  }

  /** Removes an actor and its record, as if it had never been. */
  erase(actor: LiveActor): void {
    actor.erased = true;
    this.#timers.delete(actor);
    this.#behaviour(actor).dropped(actor);
    this.#queue(actor).put(actor, () => this.#forget(actor));
  }

  /** The actor's state, unpacked if it was parked. */
  wake(actor: LiveActor): ActorState {
    if (actor.state !== undefined) return actor.state;
    const record = decodeRecord(actor.parked ?? new Uint8Array(), this.#options.machines);
    if (record.kind === "unreadable")
      throw new Error(`a parked record of ${actor.id} cannot be read: ${record.reason}`);
    this.#woken.add(actor);
    actor.parked = undefined;
    actor.state = record.state;
    actor.committed = record.state;
    return record.state;
  }

  /** Takes a record that the shard's loading found. Ended ones are passed over, unreadable ones set aside. */
  restore(shard: HostedShard, id: string, data: Uint8Array, revision: number): void {
    shard.revision = Math.max(shard.revision, revision);
    if (data.length === 0) return;
    const fields = decodeFields(data);
    if ("kind" in fields) return this.#setAside(shard, id, fields.reason);
    if (fields.snapshot.status !== "active") return;
    const record = decodeRecord(data, this.#options.machines);
    if (record.kind === "unreadable") return this.#setAside(shard, id, record.reason);
    const actor = new LiveActor(id, shard, record.machine, record.rest);
    actor.state = record.state;
    actor.committed = record.state;
    actor.committedAt = 1;
    actor.sequence = 1;
    actor.stored = 1;
    const { scheduledAt } = record.state.snapshot.context as { scheduledAt?: number };
    actor.scheduledAt = scheduledAt ?? 0;
    shard.actors.set(id, actor);
    this.#schedule(actor, record.state);
    this.#parkIfIdle(actor);
  }

  /** Forgets what a loading that failed had read. */
  clear(shard: HostedShard): void {
    for (const actor of shard.actors.values()) this.#timers.delete(actor);
    shard.actors.clear();
    shard.unreadable.clear();
  }

  /** The shard is served from now on: its actors go on from their records. */
  revive(shard: HostedShard): void {
    for (const actor of [...shard.actors.values()]) {
      if (actor.state === undefined) continue;
      try {
        this.#behaviour(actor).restored(actor);
      } catch (error) {
        // One record that cannot go on must not take its shard down, at one node after the other. Its bounds end it.
        this.#options.context.logger.error({ shard: shard.number, id: actor.id, err: error }, "an actor cannot go on");
      }
    }
  }

  /** Lets go of everything of a shard that this node no longer hosts. */
  drop(shard: HostedShard): void {
    shard.phase = "closed";
    for (const queue of this.#queues) queue.drop(shard);
    for (const actor of shard.actors.values()) {
      this.#timers.delete(actor);
      this.#behaviour(actor).dropped(actor);
    }
    shard.actors.clear();
  }

  stop(): void {
    this.#woken.stop();
    this.#options.context.clock.cancel(this.#armed);
  }

  #tellWaiting(actor: LiveActor, refusal: Refusal | undefined): void {
    const { waiting } = actor;
    if (waiting === undefined) return;
    const due = waiting.filter(({ sequence }) => refusal !== undefined || sequence <= actor.stored);
    actor.waiting = due.length === waiting.length ? undefined : waiting.filter((one) => !due.includes(one));
    for (const { run } of due) run(refusal);
  }

  #setAside(shard: HostedShard, id: string, reason: string): void {
    shard.unreadable.set(id, reason);
    this.#options.context.logger.warn(
      { shard: shard.number, id, reason },
      "a record cannot be read here; it is left as it is",
    );
  }

  #forget(actor: LiveActor): void {
    this.#timers.delete(actor);
    if (actor.shard.actors.get(actor.id) === actor) actor.shard.actors.delete(actor.id);
    if (actor.stored === 0) this.#behaviour(actor).dropped(actor);
  }

  #encode(actor: LiveActor): { data: Uint8Array; ttlMs: number | undefined } {
    if (actor.erased) return { data: new Uint8Array(), ttlMs: 1_000 };
    const state = this.wake(actor);
    const data = encodeRecord(actor.machine, state, actor.rest);
    return { data, ttlMs: state.snapshot.status === "active" ? undefined : this.#behaviour(actor).retentionMs(state) };
  }

  #parkIfIdle(actor: LiveActor): void {
    const { state } = actor;
    if (state === undefined || actor.stored < actor.sequence || actor.listeners !== undefined) return;
    if (state.snapshot.status !== "active" || actor.due - this.#options.context.clock.now() < PARK_MS) return;
    if (!this.#behaviour(actor).parks(state)) return;
    // A copy of its own: an encoded record may be a slice of a larger buffer, which it would keep alive.
    actor.parked = new Uint8Array(encodeRecord(actor.machine, state, actor.rest));
    actor.state = undefined;
    actor.committed = undefined;
  }

  #timed(state: ActorState, event: EventWithoutTime): TimedEvent {
    const { updatedAt } = state.snapshot.context as { updatedAt?: number };
    // Another node's clock may have been a little ahead: an actor's time never goes back.
    const at = Math.max(this.#options.context.clock.now(), updatedAt ?? 0);
    return { ...event, at, chance: this.#options.context.random() };
  }

  #behaviour(actor: LiveActor): Behaviour {
    const behaviour = this.#options.behaviours.get(actor.machine.name);
    if (behaviour === undefined) throw new Error(`no behaviour for machine ${actor.machine.name}`);
    return behaviour;
  }

  #queue(actor: LiveActor): CommitQueue {
    const queue = this.#queues[actor.shard.bucket];
    if (queue === undefined) throw new Error(`no commit queue for bucket ${actor.shard.bucket}`);
    return queue;
  }

  #schedule(actor: LiveActor, state: ActorState): void {
    let due = Number.POSITIVE_INFINITY;
    for (const timer of state.timers) if (timer.due < due) due = timer.due;
    if (due === Number.POSITIVE_INFINITY) return this.#timers.delete(actor);
    this.#timers.set(actor, due);
    if (due < this.#armedFor) this.#arm(due);
  }

  #arm(due: number): void {
    const { clock } = this.#options.context;
    clock.cancel(this.#armed);
    this.#armedFor = due;
    this.#armed = clock.after(Math.min(Math.max(0, due - clock.now()), MAX_ARM_MS), () => this.#fire());
  }

  #fire(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    const now = this.#options.context.clock.now();
    for (let fired = 0; fired < TIMERS_PER_TURN; fired++) {
      const actor = this.#timers.peek();
      if (actor === undefined || actor.due > now) break;
      this.#timers.delete(actor);
      if (actor.shard.phase === "loading") {
        // Its shard is not served yet: the timer comes again with the shard.
        this.#timers.set(actor, now + 50);
        continue;
      }
      this.#fireTimers(actor, now);
    }
    const next = this.#timers.peek();
    if (next !== undefined) this.#arm(next.due);
  }

  #fireTimers(actor: LiveActor, now: number): void {
    const state = this.wake(actor);
    const timer = state.timers.filter(({ due }) => due <= now).toSorted((a, b) => a.due - b.due)[0];
    if (timer === undefined) return this.#schedule(actor, state);
    actor.state = { snapshot: state.snapshot, timers: state.timers.filter((other) => other !== timer) };
    this.transition(actor, timer.event);
    this.#behaviour(actor).settle(actor);
    this.commit(actor, ignore);
  }
}

/** An event before the host gives it time and chance. */
export interface EventWithoutTime {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** Far timers are armed in pieces: platforms hold no more than about 24 days, and a clock may be adjusted meanwhile. */
const MAX_ARM_MS = 3_600_000;

const ignore: Settled = () => undefined;
