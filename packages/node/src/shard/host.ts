// The path of an event: create or step → fits → prepare → commit → perform → answer.
// The stepper makes an actor's first state, or steps it on, in memory. If the new record does not fit a message, the host takes the step back, or
// fails the actor. The actor's behaviour then adds what belongs into the same write. The commit queue writes the record. Only after the store has
// acknowledged the write does the host perform the effects of the step, and answer the sender. Otherwise a crash could undo what others have seen.

import { isErgonError, type Machine } from "@ergon/core";
import { type ActorState, type Effect, type Surroundings } from "@ergon/core/engine";

import { ActorRecords } from "./actor-records.ts";
import { ActorTimers } from "./actor-timers.ts";
import { LiveActor, type EventWithoutTime } from "./actor.ts";
import type { Behaviour } from "./behaviour.ts";
import { NO_RECORD } from "./commit-queue.ts";
import { CommitQueues } from "./commit-queues.ts";
import type { HostOptions } from "./host-options.ts";
import type { HostedShard } from "./hosted-shard.ts";
import type { Backlog, Embedding, Releasing, Residence, Versioned } from "./hosting.ts";
import { Migrations } from "./migrations.ts";
import { Parking } from "./parking.ts";
import { Patience } from "./patience.ts";
import { Residents } from "./residents.ts";
import { Stepper } from "./stepper.ts";
import type { Settled } from "./writing.ts";

/** The shell around the pure core: it keeps actors, steps them, stores them, and performs their effects afterwards (laws 1, 2, 9). */
export class Host implements Embedding, Versioned, Releasing, Backlog {
  readonly #options: HostOptions;
  readonly #queues: CommitQueues;
  readonly #timers: ActorTimers;
  readonly #records: ActorRecords;
  readonly #stepper: Stepper;
  readonly #residents: Residents;
  readonly #migrations: Migrations;
  readonly #parking: Parking;
  /** Decides how long deadlines wait for answers after a take-over. */
  readonly patience: Patience;

  constructor(options: HostOptions) {
    this.#options = options;
    const { context, machines } = options;
    const { ports, logger, clock } = context;
    const behaviourOf = (actor: LiveActor): Behaviour => this.#behaviour(actor);
    const surroundings = (actor: LiveActor): Surroundings => this.#surroundings(actor);
    const store = (actor: LiveActor): void => this.#store(actor, ignore);
    this.patience = new Patience(clock, ports.bus);
    this.#records = new ActorRecords({ ...options, surroundings });
    this.#parking = new Parking(clock, (actor) =>
      this.#residents.orSetAside(actor, () => this.#residents.parkIfIdle(actor)),
    );
    this.#timers = new ActorTimers(context, this.patience, (actor, now) =>
      this.#residents.orSetAside(actor, () => this.#fireTimers(actor, now)),
    );
    this.#queues = new CommitQueues({
      records: ports.records,
      clock,
      logger,
      encode: (actor) => this.#encode(actor),
      health: options.health,
      onDoubt: options.onDoubt,
      onCreationRefused: (actor) => this.#residents.forget(actor),
    });
    this.#stepper = new Stepper({
      context,
      records: this.#records,
      patience: this.patience,
      behaviourOf,
      surroundings,
      onWoken: (actor) => this.#parking.add(actor),
      onUnreadable: (actor, reason) => this.#residents.putAside(actor, reason),
      onBroken: (actor, error) => this.#residents.setAside(actor, error),
    });
    const inner = { context, records: this.#records, stepper: this.#stepper, behaviourOf, store };
    this.#residents = new Residents({ ...inner, queues: this.#queues, timers: this.#timers });
    this.#migrations = new Migrations({ ...inner, machines, surroundings });
  }

  /** Takes shards in and releases them. */
  get residence(): Residence {
    return this.#residents;
  }

  get backlog(): number {
    return this.#queues.length;
  }

  create(shard: HostedShard, id: string, machine: Machine, input: unknown, at: number, settled: Settled): LiveActor {
    const actor = new LiveActor(id, shard, machine);
    this.#stepper.begin(actor, input, at);
    shard.add(actor);
    this.#behaviour(actor).prepare(actor);
    this.#records.requireFit(actor, "nothing was stored", () => this.#residents.forget(actor));
    this.#commitWhole(actor, settled);
    return actor;
  }

  embed(actor: LiveActor, key: number, input: unknown, at: number): LiveActor {
    const task = this.#records.embedded(actor, key);
    this.#stepper.begin(task, input, at);
    this.#behaviour(task).prepare(task);
    this.#hold(task);
    return task;
  }

  unembed(task: LiveActor, effects: readonly Effect[] = []): void {
    const { within } = task;
    this.#timers.delete(task);
    within?.actor.embedded?.delete(within.key);
    if (within !== undefined && effects.length > 0) (within.actor.pending ??= []).push([task, effects]);
  }

  current(actor: LiveActor): ActorState {
    this.#migrations.upgrade(actor);
    return this.wake(actor);
  }

  migrate(actor: LiveActor, to: Machine): void {
    this.#migrations.migrate(actor, to);
  }

  send(actor: LiveActor, event: EventWithoutTime, settled: Settled = ignore): boolean {
    return this.sendTo(actor, this.current(actor), event, settled);
  }

  sendTo(actor: LiveActor, state: ActorState, event: EventWithoutTime, settled: Settled): boolean {
    if (!this.#stepper.step(actor, state, event)) return false;
    this.#records.requireFit(actor, "nothing has happened", () => {
      actor.takeEffects();
      this.#stepper.rollBack(actor, state);
    });
    this.#store(actor, settled);
    return true;
  }

  advance(actor: LiveActor, event: EventWithoutTime, settled: Settled = ignore): boolean {
    let taken = true;
    const take = (): void => {
      taken = this.transition(actor, event);
      if (taken) this.#store(actor, settled);
    };
    this.orFail(actor, take, settled);
    return taken;
  }

  orFail(actor: LiveActor, run: () => void, settled: Settled = ignore): void {
    try {
      run();
    } catch (error) {
      // An actor that the node has set aside meanwhile cannot fail any more.
      if (!isErgonError(error) || error.code === "TASK_UNREADABLE") throw error;
      this.#fail(actor, error.code, error.message, settled);
    }
  }

  sendKnown(actor: LiveActor, event: EventWithoutTime): void {
    if (!this.transition(actor, event)) return;
    this.#behaviour(actor).prepare(actor);
    if (actor.effects.length > 0) return this.commit(actor, ignore);
    this.#timers.set(actor, this.wake(actor).timers);
    this.#residents.parkIfIdle(actor);
  }

  transition(actor: LiveActor, event: EventWithoutTime): boolean {
    return this.#stepper.step(actor, this.current(actor), event);
  }

  commit(actor: LiveActor, settled: Settled): void {
    const { within } = actor;
    if (actor.aside) return settled(NO_RECORD);
    if (within === undefined)
      return this.#records.fits(actor)
        ? this.#commitWhole(actor, settled)
        : this.#fail(actor, "RECORD_TOO_LARGE", this.#records.tooLarge(actor), settled);
    this.takeIn(actor);
    this.commit(within.actor, settled);
  }

  takeIn(task: LiveActor): void {
    this.#hold(task);
    const state = this.wake(task);
    if (task.within === undefined || state.snapshot.status === "active") return;
    this.unembed(task);
    this.#options.onEmbeddedEnded(task.within.actor, task.within.key, state);
  }

  wake(actor: LiveActor): ActorState {
    return actor.state ?? this.#stepper.wake(actor);
  }

  committed(actor: LiveActor): ActorState | undefined {
    this.wake(actor);
    return actor.committed;
  }

  whenStored(actor: LiveActor, run: Settled): void {
    if (actor.aside) run(NO_RECORD);
    else if (actor.writing.isDone) run(undefined);
    else actor.writing.wait(run);
  }

  erase(actor: LiveActor): void {
    actor.erased = true;
    this.#timers.delete(actor);
    this.#behaviour(actor).dropped(actor);
    this.#queues.of(actor).put(actor, (refusal) => {
      this.#residents.forget(actor);
      this.#residents.tellWaiting(actor, refusal);
    });
  }

  /** The receiver has taken a message of the actor, so the outbox does not send it again. The next change of the actor writes the record without it. */
  forgetTell(actor: LiveActor, seq: number): void {
    actor.forgetTell(seq);
  }

  /** The receivers have taken all messages of the actor. An ended actor leaves the memory, and the host parks a live one. */
  release(actor: LiveActor): void {
    if (!actor.writing.isDone || actor.state === undefined) return;
    if (actor.state.snapshot.status === "active") this.#residents.parkIfIdle(actor);
    else this.#residents.retire(actor);
  }

  /** Sets an actor aside that cannot continue on this node. */
  setAside(actor: LiveActor, error: unknown): void {
    this.#residents.setAside(actor, error);
  }

  stop(): void {
    this.#parking.stop();
    this.#timers.stop();
  }

  /** Ends an actor that cannot continue, from the last state that the store could hold. */
  #fail(actor: LiveActor, code: string, message: string, settled: Settled): void {
    const { machine, shard } = actor;
    this.#options.context.logger.warn(
      { shard: shard.number, id: actor.id, machine: machine.name, code, reason: message },
      "an instance failed",
    );
    actor.takeEffects();
    // Tell agents to abort the tasks that the failed step had withdrawn, otherwise they work for nothing. Start nothing.
    actor.pending = actor.pending?.map(([task, effects]) => [task, effects.filter(({ type }) => type === "abort")]);
    this.#stepper.rollBack(actor, actor.fitting ?? this.wake(actor));
    // Do not upgrade it: an actor that fails ends on its present version.
    this.#stepper.step(actor, this.wake(actor), { type: "ergon.failed", code, message });
    if (actor.aside) return settled(NO_RECORD);
    this.#behaviour(actor).prepare(actor);
    this.#commitWhole(actor, settled);
  }

  #store(actor: LiveActor, settled: Settled): void {
    // The step broke, and the node set the actor aside. Leave it as it is, otherwise its timer would fire again and again.
    if (actor.aside) return settled(NO_RECORD);
    this.#behaviour(actor).prepare(actor);
    this.commit(actor, settled);
  }

  /** The effects of an embedded task wait for the write of the record that holds it. */
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
    const residents = this.#residents;
    this.#timers.set(actor, state.timers);
    this.#queues.of(actor).put(actor, (refusal) => {
      if (refusal !== undefined) {
        residents.attempt(actor, () => settled(refusal));
        return residents.tellWaiting(actor, refusal);
      }
      actor.noteCommitted(state, sequence);
      for (const [task, own] of pending ?? []) this.#perform(task, own);
      if (actor.embedded !== undefined && sequence === actor.writing.sequence)
        for (const task of actor.embedded.values()) task.committed = task.state;
      const behaviour = this.#behaviour(actor);
      this.#perform(actor, effects);
      residents.attempt(actor, () => settled(undefined));
      if (ended && !behaviour.lingers(actor)) residents.retire(actor);
      behaviour.stored(actor, ended);
      residents.tellWaiting(actor, undefined);
      residents.parkIfIdle(actor);
    });
  }

  #perform(actor: LiveActor, effects: readonly Effect[]): void {
    for (const effect of effects)
      this.#residents.orSetAside(actor, () => this.#behaviour(actor).perform(actor, effect));
  }

  #encode(actor: LiveActor): { data: Uint8Array; ttlMs: number | undefined } | undefined {
    try {
      if (!actor.erased) this.wake(actor);
      return this.#records.encode(actor);
    } catch (error) {
      this.#residents.setAside(actor, error);
      return undefined;
    }
  }

  #surroundings(actor: LiveActor): Surroundings {
    return { id: actor.id, logger: this.#options.context.logger, onLocal: (run) => this.#local(actor, run) };
  }

  /**
   * An actor that an instance runs in this process has sent an event. The event goes to the version that started that actor, so the host upgrades
   * nothing.
   */
  #local(actor: LiveActor, run: () => void): void {
    if (actor.shard.actors.get(actor.id) !== actor || actor.state?.snapshot.status !== "active") return;
    const take = (): void => {
      if (this.#stepper.step(actor, this.wake(actor), { type: "ergon.local", run })) this.#store(actor, ignore);
    };
    this.#residents.orSetAside(actor, () => this.orFail(actor, take));
  }

  #fireTimers(actor: LiveActor, now: number): void {
    const state = this.current(actor);
    const timer = this.#timers.first(actor, state.timers, now);
    if (timer === undefined || this.#timers.waits(actor, timer, this.#behaviour(actor))) return;
    this.orFail(actor, () => {
      this.#stepper.fire(actor, state, timer);
      this.#store(actor, ignore);
    });
  }

  #behaviour(actor: LiveActor): Behaviour {
    return this.#options.behaviourOf(actor.machine);
  }
}

const ignore: Settled = () => undefined;
