import {
  isErgonError,
  messageOf,
  taskMachine,
  type ActorState,
  type Effect,
  type Machine,
  type RecordFields,
  type Surroundings,
  type TimedEvent,
  type Turn,
} from "@ergon/core";

import { unreadable } from "../serve/refusals.ts";
import { ActorRecords } from "./actor-records.ts";
import { ActorTimers } from "./actor-timers.ts";
import { LiveActor, type EventWithoutTime } from "./actor.ts";
import type { Behaviour } from "./behaviour.ts";
import { NO_RECORD } from "./commit-queue.ts";
import { CommitQueues } from "./commit-queues.ts";
import type { HostOptions } from "./host-options.ts";
import type { HostedShard } from "./hosted-shard.ts";
import { Migrations } from "./migrations.ts";
import { Patience } from "./patience.ts";
import { UNQUEUED } from "./timer-queue.ts";
import { Woken } from "./woken.ts";
import type { Refusal, Settled } from "./writing.ts";

/** A timer nearer than this keeps its actor unpacked. */
const PARK_MS = 5_000;

/** The shell around the pure core: keeps actors, steps them, stores them, and performs their effects afterwards (laws 1, 2, 9). */
export class Host {
  readonly #options: HostOptions;
  readonly #queues: CommitQueues;
  readonly #timers: ActorTimers;
  readonly #records: ActorRecords;
  readonly #woken: Woken;
  readonly migrations: Migrations;
  /** How long deadlines wait for answers after a take-over. */
  readonly patience: Patience;

  constructor(options: HostOptions) {
    this.#options = options;
    const { ports, logger, clock } = options.context;
    this.patience = new Patience(clock, ports.bus);
    this.#records = new ActorRecords({ ...options, surroundings: (actor) => this.#surroundings(actor) });
    this.migrations = new Migrations(options, this, this.#records, (actor) => this.#surroundings(actor));
    this.#woken = new Woken(clock, (actor) => this.#orSetAside(actor, () => this.#parkIfIdle(actor)));
    this.#timers = new ActorTimers(options.context, this.patience, (actor, now) =>
      this.#orSetAside(actor, () => this.#fireTimers(actor, now)),
    );
    this.#queues = new CommitQueues({
      records: ports.records,
      clock,
      logger,
      encode: (actor) => this.#encode(actor),
      health: options.health,
      onDoubt: options.onDoubt,
      onCreationRefused: (actor) => this.#forget(actor),
    });
  }

  /** Writes that wait for the store. */
  get backlog(): number {
    return this.#queues.length;
  }

  /** Goes on with writes that were held back. */
  resume(): void {
    this.#queues.resume();
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

  /** Takes a task out of the record that it is embedded in; `effects` are performed once that is stored. */
  unembed(task: LiveActor, effects: readonly Effect[] = []): void {
    const { within } = task;
    this.#timers.delete(task);
    within?.actor.embedded?.delete(within.key);
    if (within !== undefined && effects.length > 0) (within.actor.pending ??= []).push([task, effects]);
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
      actor.takeEffects();
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
      // What was set aside meanwhile cannot fail any more.
      if (!isErgonError(error) || error.code === "TASK_UNREADABLE") throw error;
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
    actor.takeEffects();
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
    const { within } = actor;
    if (within === undefined)
      return this.#records.fits(actor)
        ? this.#commitWhole(actor, settled)
        : this.fail(actor, "RECORD_TOO_LARGE", this.#records.tooLarge(actor), settled);
    this.takeIn(actor);
    this.commit(within.actor, settled);
  }

  /** Takes what a task has become into the record that it is embedded in, whose write is to follow. The actor there hears of its end. */
  takeIn(task: LiveActor): void {
    this.#hold(task);
    const state = this.wake(task);
    if (task.within === undefined || state.snapshot.status === "active") return;
    this.unembed(task);
    this.#options.onEmbeddedEnded(task.within.actor, task.within.key, state);
  }

  /** The actor's state as it is stored, or `undefined` while its first write is under way. */
  committed(actor: LiveActor): ActorState | undefined {
    this.wake(actor);
    return actor.committed;
  }

  /** Calls `run` when what the actor is now is stored, or its creation was refused, or it was set aside. Not called when the shard is lost. */
  whenStored(actor: LiveActor, run: Settled): void {
    if (actor.aside) run(NO_RECORD);
    else if (actor.writing.isDone) run(undefined);
    else actor.writing.wait(run);
  }

  /** Removes an actor and its record, as if it had never been. */
  erase(actor: LiveActor): void {
    actor.erased = true;
    this.#timers.delete(actor);
    this.#behaviour(actor).dropped(actor);
    this.#queues.of(actor).put(actor, (refusal) => {
      this.#forget(actor);
      this.#tellWaiting(actor, refusal);
    });
  }

  /** The messages of the actor are delivered: an ended actor leaves, a live one is packed. */
  release(actor: LiveActor): void {
    if (!actor.writing.isDone || actor.state === undefined) return;
    if (actor.state.snapshot.status === "active") this.#parkIfIdle(actor);
    else this.#retire(actor);
  }

  /** A message of the actor has been taken: it is not sent again. The record without it is written with the actor's next change. */
  forgetTell(actor: LiveActor, seq: number): void {
    actor.forgetTell(seq);
  }

  /** The actor's state, unpacked if it was parked. Throws `ConflictError` when its record does not fit its machine here; it is set aside then. */
  wake(actor: LiveActor): ActorState {
    if (actor.state !== undefined) return actor.state;
    const record = this.#records.wake(actor);
    if (record.kind === "unreadable") {
      this.#putAside(actor, record.reason);
      throw unreadable(actor.id, record.reason);
    }
    this.#woken.add(actor);
    return record.state;
  }

  /**
   * Takes an actor out of service that this node cannot go on with: what is stored of it is left as it is, and every other actor is served. An operator
   * is told; whoever asks for it is answered `TASK_UNREADABLE`.
   */
  setAside(actor: LiveActor, error: unknown): void {
    const { within, shard, id } = actor;
    if (within !== undefined) return this.setAside(within.actor, error);
    if (shard.actors.get(id) !== actor) return;
    const { logger } = this.#options.context;
    logger.error({ shard: shard.number, id, err: error }, "an actor cannot go on; it is set aside");
    this.#putAside(actor, messageOf(error));
  }

  #putAside(actor: LiveActor, reason: string): void {
    const { shard, id } = actor;
    actor.aside = true;
    this.#records.setAside(shard, id, reason);
    this.#attempt(actor, () => this.#behaviour(actor).dropped(actor));
    this.#attempt(actor, () => this.#leave(actor));
    this.#queues.of(actor).forget(actor);
    this.#tellWaiting(actor, NO_RECORD);
  }

  /** Takes a record that the shard's loading found. Ended ones are passed over, unreadable ones set aside. */
  restore(shard: HostedShard, id: string, data: Uint8Array, revision: number): void {
    shard.revision = Math.max(shard.revision, revision);
    if (data.length === 0) return;
    const actor = this.#records.restore(shard, id, data);
    if (actor === undefined) return;
    shard.add(actor);
    this.#orSetAside(actor, () => {
      this.#timers.watch(actor);
      for (const task of actor.embedded?.values() ?? []) this.#timers.set(task, task.state?.timers ?? []);
      this.#parkIfIdle(actor);
    });
  }

  /** Forgets what a loading that failed had read. */
  clear(shard: HostedShard): void {
    for (const actor of shard.actors.values()) this.#leave(actor);
    shard.clear();
  }

  /** The shard is served from now on: its actors go on from their records. */
  revive(shard: HostedShard): void {
    shard.servedAt = this.#options.context.clock.now();
    for (const actor of [...shard.actors.values()]) {
      if (actor.state === undefined) continue;
      // One record that cannot go on must not take its shard down, at one node after the other.
      this.#orSetAside(actor, () => {
        this.#behaviour(actor).restored(actor);
        if (!actor.unsaved) return;
        actor.unsaved = false;
        this.#store(actor, ignore);
      });
    }
  }

  /** Lets go of everything of a shard that this node no longer hosts. */
  drop(shard: HostedShard): void {
    shard.phase = "closed";
    this.#queues.drop(shard);
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

  /** Takes the outcome of a step. One that throws has not happened; by what is no error of Ergon's the actor cannot go on. */
  #turn(actor: LiveActor, before: ActorState, run: () => Turn): boolean {
    let turn: Turn;
    try {
      turn = run();
    } catch (error) {
      if (!isErgonError(error)) {
        this.setAside(actor, error);
        return false;
      }
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
    actor.addEffects(effects);
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
    const { within } = task;
    if (within === undefined) return;
    const effects = task.takeEffects();
    if (effects.length > 0) (within.actor.pending ??= []).push([task, effects]);
    this.#timers.set(task, this.wake(task).timers);
  }

  #commitWhole(actor: LiveActor, settled: Settled): void {
    const effects = actor.takeEffects();
    const { pending } = actor;
    actor.pending = undefined;
    const state = this.wake(actor);
    const ended = state.snapshot.status !== "active";
    const sequence = actor.writing.sequence + 1;
    this.#timers.set(actor, state.timers);
    this.#queues.of(actor).put(actor, (refusal) => {
      if (refusal !== undefined) {
        this.#attempt(actor, () => settled(refusal));
        return this.#tellWaiting(actor, refusal);
      }
      actor.noteCommitted(state, sequence);
      for (const [task, own] of pending ?? []) this.#perform(task, own);
      if (actor.embedded !== undefined && sequence === actor.writing.sequence)
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
    for (const effect of effects) this.#orSetAside(actor, () => this.#behaviour(actor).perform(actor, effect));
  }

  /** Runs what nobody waits for. An actor that cannot go on from it is set aside: it holds up no other one. */
  #orSetAside(actor: LiveActor, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.setAside(actor, error);
    }
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
    for (const { run } of actor.writing.takeWaiters(refusal !== undefined)) this.#attempt(actor, () => run(refusal));
  }

  /** An ended actor with nothing left to deliver leaves. Its retention begins with this write, unless it has begun already. */
  #retire(actor: LiveActor): void {
    if (actor.expires) this.#forget(actor);
    else this.#queues.of(actor).put(actor, () => this.#forget(actor));
  }

  #forget(actor: LiveActor): void {
    this.#leave(actor);
    actor.shard.remove(actor);
    if (actor.writing.stored === 0) this.#behaviour(actor).dropped(actor);
  }

  /** Nothing of the actor happens here any more. */
  #leave(actor: LiveActor): void {
    this.#timers.delete(actor);
    for (const task of actor.embedded?.values() ?? []) this.#timers.delete(task);
    if (actor.state !== undefined) actor.machine.engine.close(actor.state);
  }

  #parkIfIdle(actor: LiveActor): void {
    const { state } = actor;
    if (state === undefined || !actor.writing.isDone || actor.isListenedTo || actor.unsaved) return;
    if (state.snapshot.status !== "active" || actor.embedded?.size || actor.flight !== undefined) return;
    if (actor.position !== UNQUEUED && actor.due - this.#options.context.clock.now() < PARK_MS) return;
    if (!this.#behaviour(actor).parks(state)) return;
    this.#records.park(actor, state);
  }

  #encode(actor: LiveActor): { data: Uint8Array; ttlMs: number | undefined } | undefined {
    try {
      if (!actor.erased) this.wake(actor);
      return this.#records.encode(actor);
    } catch (error) {
      this.setAside(actor, error);
      return undefined;
    }
  }

  #surroundings(actor: LiveActor): Surroundings {
    return { id: actor.id, logger: this.#options.context.logger, onLocal: (run) => this.#local(actor, run) };
  }

  /** Something that an instance runs in this process has said something. */
  #local(actor: LiveActor, run: () => void): void {
    if (actor.shard.actors.get(actor.id) !== actor || actor.state?.snapshot.status !== "active") return;
    this.#orSetAside(actor, () => this.advance(actor, { type: "ergon.local", run }));
  }

  /** Another node's clock may have been a little ahead: an actor's time never goes back. */
  #time({ machine, shard }: LiveActor, state: ActorState): Omit<TimedEvent, "type"> {
    const at = Math.max(this.#options.context.clock.now(), machine.engine.updatedAt(state));
    return { at, chance: this.#options.context.random(), gap: this.patience.gap(shard) };
  }

  #behaviour(actor: LiveActor): Behaviour {
    return this.#options.behaviourOf(actor.machine);
  }

  #fireTimers(actor: LiveActor, now: number): void {
    this.migrations.upgrade(actor);
    const state = this.wake(actor);
    const timer = this.#timers.first(actor, state.timers, now);
    if (timer === undefined || this.#timers.waits(actor, timer, this.#behaviour(actor))) return;
    const { machine } = actor;
    const time = this.#time(actor, state);
    this.orFail(actor, () => {
      this.#turn(actor, state, () => machine.engine.fire(machine, state, timer, time));
      this.#store(actor, ignore);
    });
  }
}

const ignore: Settled = () => undefined;
