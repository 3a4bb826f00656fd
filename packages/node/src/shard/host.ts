import {
  isErgonError,
  taskMachine,
  type ActorState,
  type Effect,
  type Machine,
  type MachineRegistry,
  type RecordFields,
  type Surroundings,
  type Turn,
} from "@ergon/core";

import type { NodeContext } from "../node-context.ts";
import { ActorRecords } from "./actor-records.ts";
import { ActorTimers } from "./actor-timers.ts";
import { LiveActor, type EventWithoutTime } from "./actor.ts";
import type { Behaviour } from "./behaviour.ts";
import { CommitQueue, type Refusal, type Settled } from "./commit-queue.ts";
import type { HostedShard } from "./hosted-shard.ts";
import { Migrations } from "./migrations.ts";
import { UNQUEUED } from "./timer-queue.ts";
import { Woken } from "./woken.ts";

export interface HostOptions {
  readonly context: NodeContext;
  readonly machines: MachineRegistry;
  readonly behaviourOf: (machine: Machine) => Behaviour;
  readonly hosted: ReadonlyMap<number, HostedShard>;
  /** A write of the shard may or may not be stored, or the server refused a fence: the shard must be taken again. */
  readonly onDoubt: (shard: HostedShard) => void;
  /** A task embedded in the actor's record has ended: the actor is told, in the same write. */
  readonly onEmbeddedEnded: (actor: LiveActor, key: number, ended: ActorState) => void;
}

/** A timer nearer than this keeps its actor unpacked. */
const PARK_MS = 5_000;
const RETRY_REFUSED_MS = 1_000;
const PIPELINE_WINDOW = 2_048;

/** The shell around the pure core: keeps actors, steps them, stores them, and performs their effects afterwards (laws 1, 2, 9). */
export class Host {
  readonly #options: HostOptions;
  readonly #queues: readonly CommitQueue[];
  readonly #timers: ActorTimers;
  readonly #records: ActorRecords;
  readonly #woken: Woken;
  readonly migrations: Migrations;
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
    this.#records = new ActorRecords({ ...options, surroundings: (actor) => this.#surroundings(actor) });
    this.migrations = new Migrations(options, this, this.#records, (actor) => this.#surroundings(actor));
    this.#woken = new Woken(clock, (actor) => this.#parkIfIdle(actor));
    this.#timers = new ActorTimers(options.context, (actor, now) => this.#fireTimers(actor, now));
    this.#queues = Array.from(
      { length: records.buckets },
      () =>
        new CommitQueue({
          records,
          clock,
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

  /** Starts an actor and stores it; `settled` hears when it is stored or refused. Throws when the machine cannot start. */
  create(shard: HostedShard, id: string, machine: Machine, input: unknown, at: number, settled: Settled): LiveActor {
    const actor = new LiveActor(id, shard, machine);
    this.#take(actor, machine.engine.begin(machine, input, at, this.#surroundings(actor)));
    actor.scheduledAt = at;
    shard.add(actor);
    this.#behaviour(actor).settle(actor);
    this.#records.requireFit(actor, "nothing was stored", () => this.#forget(actor));
    this.#commitWhole(actor, settled);
    return actor;
  }

  /** Begins a task in the record of an actor whose write is to follow. */
  embed(actor: LiveActor, key: number, input: unknown, at: number): LiveActor {
    const task = this.#records.embedded(actor, key);
    this.#take(task, taskMachine.engine.begin(taskMachine, input, at, this.#surroundings(task)));
    task.scheduledAt = at;
    this.#behaviour(task).settle(task);
    this.#hold(task);
    return task;
  }

  /** Takes a task out of the record that it is embedded in. */
  unembed(task: LiveActor): void {
    this.#timers.delete(task);
    if (task.host !== undefined) task.host.actor.embedded?.delete(task.host.key);
  }

  /**
   * Delivers an event and stores the outcome. Answers whether the actor took the event; `settled` is called only then. Throws
   * `TerminalError` (`RECORD_TOO_LARGE`) when what follows from the event cannot be stored: then it has not happened.
   */
  send(actor: LiveActor, event: EventWithoutTime, settled: Settled = ignore): boolean {
    this.migrations.upgrade(actor);
    const before = this.wake(actor);
    if (!this.transition(actor, event)) return false;
    this.#records.requireFit(actor, "nothing has happened", () => {
      actor.effects = [];
      this.#rollBack(actor, before);
    });
    this.#store(actor, settled);
    return true;
  }

  /** Delivers an event that nobody can be told about: an actor that cannot go on from it fails. */
  advance(actor: LiveActor, event: EventWithoutTime, settled: Settled = ignore): boolean {
    let taken = true;
    const take = (): void => {
      taken = this.transition(actor, event);
      if (taken) this.#store(actor, settled);
    };
    this.orFail(actor, take, settled);
    return taken;
  }

  /** Runs a part of the actor's way that nobody can be told about: where it cannot be taken, the actor fails. */
  orFail(actor: LiveActor, run: () => void, settled: Settled = ignore): void {
    try {
      run();
    } catch (error) {
      if (!isErgonError(error)) throw error;
      this.fail(actor, error.code, error.message, settled);
    }
  }

  /** Ends an actor that cannot go on, from its last state that could be stored. */
  fail(actor: LiveActor, code: string, message: string, settled: Settled = ignore): void {
    const { machine, shard } = actor;
    this.#options.context.logger.warn(
      { shard: shard.number, id: actor.id, machine: machine.name, code, reason: message },
      "an instance fails",
    );
    actor.effects = [];
    // Who works on what the failed step had no use for any more is still to be told; nothing is begun.
    actor.pending = actor.pending?.map(([task, effects]) => [task, effects.filter(({ type }) => type === "abort")]);
    this.#rollBack(actor, actor.fitting ?? this.wake(actor));
    this.transition(actor, { type: "ergon.failed", code, message });
    this.#behaviour(actor).settle(actor);
    this.#commitWhole(actor, settled);
  }

  /** Delivers an event that what is stored leads to anyway: only what the event makes the actor do needs a write. */
  sendKnown(actor: LiveActor, event: EventWithoutTime): void {
    if (!this.transition(actor, event)) return;
    this.#behaviour(actor).settle(actor);
    if (actor.effects.length > 0) return this.commit(actor, ignore);
    this.#timers.set(actor, this.wake(actor).timers);
    this.#parkIfIdle(actor);
  }

  /** Stores an actor as one of another version of its machine, with what that asks for. */
  replace(actor: LiveActor, machine: Machine, turn: Turn, settled: Settled): void {
    actor.machine.engine.close(this.wake(actor));
    actor.shard.remove(actor);
    actor.machine = machine;
    actor.shard.add(actor);
    this.#take(actor, turn);
    this.#behaviour(actor).rolledBack(actor);
    this.#store(actor, settled);
  }

  /** Delivers an event without storing the outcome: the caller commits. Answers whether the actor took it. */
  transition(actor: LiveActor, event: EventWithoutTime): boolean {
    // What has failed is to end as it is, and what ran in the node answers to the version that began it.
    if (event.type !== "ergon.failed" && event.type !== "ergon.local") this.migrations.upgrade(actor);
    const state = this.wake(actor);
    const { machine } = actor;
    const timed = { ...event, ...this.#time(actor, state) };
    return this.#turn(actor, state, () => machine.engine.step(machine, state, timed));
  }

  commit(actor: LiveActor, settled: Settled): void {
    const { host } = actor;
    if (host === undefined)
      return this.#records.fits(actor)
        ? this.#commitWhole(actor, settled)
        : this.fail(actor, "RECORD_TOO_LARGE", this.#records.tooLarge(actor), settled);
    this.#hold(actor);
    const state = this.wake(actor);
    if (state.snapshot.status !== "active") {
      this.unembed(actor);
      this.#options.onEmbeddedEnded(host.actor, host.key, state);
    }
    this.commit(host.actor, settled);
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
    this.#queue(actor).put(actor, (refusal) => {
      this.#forget(actor);
      this.#tellWaiting(actor, refusal);
    });
  }

  /** The messages of the actor are delivered: an ended actor leaves, a live one is packed. */
  release(actor: LiveActor): void {
    if (actor.stored < actor.sequence || actor.state === undefined) return;
    if (actor.state.snapshot.status === "active") this.#parkIfIdle(actor);
    else this.#retire(actor);
  }

  /** The actor's state, unpacked if it was parked. Throws `ConflictError` when its record does not fit its machine here. */
  wake(actor: LiveActor): ActorState {
    if (actor.state !== undefined) return actor.state;
    const state = this.#records.wake(actor);
    this.#woken.add(actor);
    return state;
  }

  /** Takes a record that the shard's loading found. Ended ones are passed over, unreadable ones set aside. */
  restore(shard: HostedShard, id: string, data: Uint8Array, revision: number): void {
    shard.revision = Math.max(shard.revision, revision);
    if (data.length === 0) return;
    const actor = this.#records.restore(shard, id, data);
    if (actor === undefined) return;
    shard.add(actor);
    this.#timers.watch(actor);
    for (const task of actor.embedded?.values() ?? []) this.#timers.set(task, task.state?.timers ?? []);
    this.#parkIfIdle(actor);
  }

  /** Forgets what a loading that failed had read. */
  clear(shard: HostedShard): void {
    for (const actor of shard.actors.values()) this.#leave(actor);
    shard.clear();
  }

  /** The shard is served from now on: its actors go on from their records. */
  revive(shard: HostedShard): void {
    for (const actor of [...shard.actors.values()]) {
      if (actor.state === undefined) continue;
      try {
        this.#behaviour(actor).restored(actor);
        if (!actor.unsaved) continue;
        actor.unsaved = false;
        this.#store(actor, ignore);
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
      this.#behaviour(actor).dropped(actor);
      this.#leave(actor);
    }
    shard.actors.clear();
  }

  stop(): void {
    this.#woken.stop();
    this.#timers.stop();
  }

  /** Takes the outcome of a step. One that throws has not happened. */
  #turn(actor: LiveActor, before: ActorState, run: () => Turn): boolean {
    let turn: Turn;
    try {
      turn = run();
    } catch (error) {
      this.#rollBack(actor, before);
      throw error;
    }
    if (turn.state === before) return false;
    this.#take(actor, turn);
    return true;
  }

  #store(actor: LiveActor, settled: Settled): void {
    this.#behaviour(actor).settle(actor);
    this.commit(actor, settled);
  }

  #take(actor: LiveActor, { state, effects }: Turn): void {
    actor.state = state;
    if (effects.length > 0) actor.effects.push(...effects);
  }

  #rollBack(actor: LiveActor, to: ActorState): void {
    const { machine } = actor;
    if (actor.state !== undefined) machine.engine.close(actor.state);
    const fields = { ...machine.engine.fields(to), timers: to.timers } as unknown as RecordFields;
    actor.state = machine.engine.restore(machine, fields, this.#surroundings(actor));
    this.#behaviour(actor).rolledBack(actor);
  }

  /** What an embedded task wants done waits for the record that it is in. */
  #hold(task: LiveActor): void {
    const { host, effects } = task;
    if (host === undefined) return;
    task.effects = [];
    if (effects.length > 0) (host.actor.pending ??= []).push([task, effects]);
    this.#timers.set(task, this.wake(task).timers);
  }

  #commitWhole(actor: LiveActor, settled: Settled): void {
    const { effects, pending } = actor;
    actor.effects = [];
    actor.pending = undefined;
    const state = this.wake(actor);
    const ended = state.snapshot.status !== "active";
    const sequence = actor.sequence + 1;
    this.#timers.set(actor, state.timers);
    this.#queue(actor).put(actor, (refusal) => {
      if (refusal !== undefined) {
        this.#attempt(actor, () => settled(refusal));
        return this.#tellWaiting(actor, refusal);
      }
      this.refusal = undefined;
      // A write that was in doubt may settle after a later one.
      if (sequence > actor.committedAt) {
        actor.committedAt = sequence;
        actor.committed = state;
      }
      for (const [task, own] of pending ?? []) this.#perform(task, own);
      if (actor.embedded !== undefined && sequence === actor.sequence)
        for (const task of actor.embedded.values()) task.committed = task.state;
      const behaviour = this.#behaviour(actor);
      this.#perform(actor, effects);
      this.#attempt(actor, () => settled(undefined));
      if (ended && !behaviour.lingers(actor)) this.#retire(actor);
      behaviour.stored(actor, ended);
      this.#tellWaiting(actor, undefined);
      this.#parkIfIdle(actor);
    });
  }

  #perform(actor: LiveActor, effects: readonly Effect[]): void {
    for (const effect of effects) this.#attempt(actor, () => this.#behaviour(actor).perform(actor, effect));
  }

  /** What is stored is stored: one who cannot be told of it keeps neither the others nor the actor's own messages back. */
  #attempt({ shard, id }: LiveActor, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#options.context.logger.error({ shard: shard.number, id, err: error }, "what follows a commit failed");
    }
  }

  #tellWaiting(actor: LiveActor, refusal: Refusal | undefined): void {
    const { waiting } = actor;
    if (waiting === undefined) return;
    const due = waiting.filter(({ sequence }) => refusal !== undefined || sequence <= actor.stored);
    actor.waiting = due.length === waiting.length ? undefined : waiting.filter((one) => !due.includes(one));
    for (const { run } of due) this.#attempt(actor, () => run(refusal));
  }

  /** An ended actor with nothing left to deliver leaves. Its retention begins with this write, unless it has begun already. */
  #retire(actor: LiveActor): void {
    if (actor.expires) this.#forget(actor);
    else this.#queue(actor).put(actor, () => this.#forget(actor));
  }

  #forget(actor: LiveActor): void {
    this.#leave(actor);
    actor.shard.remove(actor);
    if (actor.stored === 0) this.#behaviour(actor).dropped(actor);
  }

  /** Nothing of the actor happens here any more. */
  #leave(actor: LiveActor): void {
    this.#timers.delete(actor);
    for (const task of actor.embedded?.values() ?? []) this.#timers.delete(task);
    if (actor.state !== undefined) actor.machine.engine.close(actor.state);
  }

  #parkIfIdle(actor: LiveActor): void {
    const { state } = actor;
    if (state === undefined || actor.stored < actor.sequence || actor.listeners !== undefined || actor.unsaved) return;
    if (state.snapshot.status !== "active" || actor.embedded?.size) return;
    if (actor.position !== UNQUEUED && actor.due - this.#options.context.clock.now() < PARK_MS) return;
    if (!this.#behaviour(actor).parks(state)) return;
    this.#records.park(actor, state);
  }

  #encode(actor: LiveActor): { data: Uint8Array; ttlMs: number | undefined } {
    if (!actor.erased) this.wake(actor);
    return this.#records.encode(actor);
  }

  #surroundings(actor: LiveActor): Surroundings {
    return { id: actor.id, logger: this.#options.context.logger, onLocal: (run) => this.#local(actor, run) };
  }

  /** Something that an instance runs in this process has said something. */
  #local(actor: LiveActor, run: () => void): void {
    if (actor.shard.actors.get(actor.id) !== actor || actor.state?.snapshot.status !== "active") return;
    this.advance(actor, { type: "ergon.local", run });
  }

  /** Another node's clock may have been a little ahead: an actor's time never goes back. */
  #time({ machine }: LiveActor, state: ActorState): { readonly at: number; readonly chance: number } {
    const at = Math.max(this.#options.context.clock.now(), machine.engine.updatedAt(state));
    return { at, chance: this.#options.context.random() };
  }

  #behaviour(actor: LiveActor): Behaviour {
    return this.#options.behaviourOf(actor.machine);
  }

  #queue(actor: LiveActor): CommitQueue {
    const queue = this.#queues[actor.shard.bucket];
    if (queue === undefined) throw new Error(`no commit queue for bucket ${actor.shard.bucket}`);
    return queue;
  }

  #fireTimers(actor: LiveActor, now: number): void {
    this.migrations.upgrade(actor);
    const state = this.wake(actor);
    const timer = this.#timers.first(actor, state.timers, now);
    if (timer === undefined) return;
    const { machine } = actor;
    const time = this.#time(actor, state);
    this.orFail(actor, () => {
      this.#turn(actor, state, () => machine.engine.fire(machine, state, timer, time));
      this.#store(actor, ignore);
    });
  }
}

const ignore: Settled = () => undefined;
