import { createActor, type AnyActor, type AnyActorLogic, type EventObject } from "xstate";

import type { Timer } from "../actor/state.ts";
import type { Logger } from "../base/logger.ts";
import { readable, toPlain } from "../base/plain.ts";
import type { Command } from "./asks/asks.ts";
import type { Ending, StoredEvent } from "./command.ts";
import { strangerAmong, type PersistedActor, type RestoredActor } from "./fit.ts";
import { DURABLE, STOPPED, isLocal, prepare } from "./inner-actor.ts";
import type { InnerActor, InnerSystem } from "./inner-actor.ts";
import { persisted, type StoredSnapshot } from "./persisted.ts";
import { Places } from "./places.ts";
import { postpone } from "./postponed.ts";
import { fillIn, forXState, rename } from "./restored.ts";
import { TreeTimers } from "./tree-timers.ts";

/** Messages that one turn may cause inside a tree: two actors that answer each other for ever must not hold up the node. */
const MOST_MESSAGES = 10_000;

export interface TreeOptions {
  /** The instance's. */
  readonly id: string;
  readonly logger: Logger;
  /** Runs a turn that something inside the node began: the result of a promise, an event of a callback. */
  readonly onLocal: (run: () => void) => void;
  /** Whether a durable parent listens, and whether to each change. */
  readonly parent: "none" | "to-end" | "to-changes";
}

/** Where a system of actors keeps its tree: for every copy of this package, since a module of machines may bring one of its own. */
const TREE: unique symbol = Symbol.for("ergon.tree");

/**
 * An instance of a user's machine with all the actors that it has spawned, run by XState's own interpreter. The tree only holds back what must
 * not happen before a commit: it keeps timers as data, starts promises and callbacks later, and collects what durable actors ask for.
 */
export class ActorTree {
  readonly root: AnyActor;
  readonly #options: TreeOptions;
  readonly #root: InnerActor;
  readonly #parent: InnerActor | undefined;
  readonly #timers: TreeTimers;
  #commands: Command[] = [];
  #at = 0;
  #messages = 0;
  #inTurn = false;
  #restoring = false;
  #changed = false;
  #closed = false;
  #nextKey: number;
  #sessions = 0;
  readonly #keyed = new Map<number, InnerActor>();
  /** All actors but the root that have been started and have not ended. */
  readonly #living = new Set<InnerActor>();
  readonly #places: Places;

  private constructor(
    logic: AnyActorLogic,
    options: TreeOptions,
    nextKey: number,
    from: { readonly input: unknown } | { readonly snapshot: unknown },
  ) {
    this.#options = options;
    this.#nextKey = nextKey;
    // The parent lives elsewhere; its stand-in takes what is sent to it.
    const parent = options.parent === "none" ? undefined : createActor(PARENT_LOGIC, { id: "parent" });
    // Children are made within the call that makes the root.
    const inspect = (event: { readonly type: string; readonly actorRef: InnerActor }): void => this.#inspect(event);
    (parent?.system as unknown as InnerSystem | undefined)?.inspect(inspect);
    this.root = createActor(logic, {
      ...from,
      id: "root",
      logger: (...items: unknown[]) => options.logger.info({ log: items }, "log"),
      ...(parent === undefined ? { inspect } : { parent, syncSnapshot: options.parent === "to-changes" }),
    } as never) as AnyActor;
    this.#root = this.root as unknown as InnerActor;
    this.#parent = parent as unknown as InnerActor | undefined;
    this.#places = new Places(this.#root, this.#parent, () => this.#nextKey++);
    this.#timers = new TreeTimers({
      root: this.#root,
      places: this.#places,
      now: () => this.#at,
      newNumber: () => this.#nextKey++,
      changed: () => (this.#changed = true),
    });
    this.#hook(this.#root.system);
    Object.assign(this.#root.system, { [TREE]: this });
    // An error ends the instance and is kept with it; without a listener XState would throw it at the process.
    this.root.subscribe({ error: () => undefined });
  }

  /** Starts an instance. */
  static begin(logic: AnyActorLogic, input: unknown, at: number, options: TreeOptions): ActorTree {
    const tree = new ActorTree(logic, options, 1, { input });
    tree.turn(at, () => tree.root.start());
    return tree;
  }

  /** Brings an instance back from a snapshot, which becomes its own. `timers` keep their due times. Throws when it does not fit the machine. */
  static restore(
    logic: AnyActorLogic,
    snapshot: StoredSnapshot,
    timers: readonly Timer[],
    nextKey: number,
    options: TreeOptions,
  ): ActorTree {
    const tree = new ActorTree(logic, options, nextKey, { snapshot: forXState(snapshot) });
    const restored = tree.root.getSnapshot() as { status: string; error: unknown };
    if (restored.status !== snapshot.status) throw restored.error;
    const stranger = strangerAmong(tree.root as unknown as RestoredActor, snapshot as PersistedActor);
    if (stranger !== undefined) throw new Error(stranger);
    tree.#inTurn = true;
    tree.#restoring = true;
    const loose = fillIn(tree.#root, snapshot, tree.#places);
    tree.root.start();
    for (const actor of loose) actor.start();
    tree.#inTurn = false;
    tree.#restoring = false;
    tree.#changed = false;
    for (const timer of timers) tree.#timers.restore(timer);
    return tree;
  }

  /** The tree that an actor belongs to. Throws when it runs outside Ergon. */
  static of(scope: { readonly system: unknown }, what: string): ActorTree {
    const { [TREE]: tree } = scope.system as { readonly [TREE]?: ActorTree };
    if (tree === undefined)
      throw new Error(`${what} runs on an Ergon node only; in a test of the bare machine provide another actor for it`);
    return tree;
  }

  /** Runs something that the tree does: all that follows from it inside the tree happens before this returns. */
  turn(at: number, run: () => void): void {
    this.#at = at;
    this.#messages = 0;
    this.#inTurn = true;
    try {
      run();
      this.#stopOrphans();
    } finally {
      this.#inTurn = false;
    }
  }

  /** Delivers an event to the machine. */
  send(at: number, event: EventObject): void {
    this.turn(at, () => this.root.send(event));
  }

  /** Delivers a timer's event and forgets the timer. */
  fire(at: number, timer: Timer): void {
    const due = this.#timers.take(timer);
    if (due !== undefined) this.turn(at, () => this.#root.system._relay(due.source, due.target, due.event));
  }

  /** Stops the machine and all that it has started, as XState does, which however takes the square of the number of actors. */
  stop(at: number): void {
    this.turn(at, () => this.#stopAll());
    this.#changed = true;
  }

  /** Tells the actor that asked for a task or a durable child how that has ended. */
  ended(at: number, key: number, ending: Ending): void {
    this.#tell(at, key, { type: "ergon.ended", ending } as EventObject);
    this.#keyed.delete(key);
  }

  /** Tells the actor that stands for a durable child what has come of it. */
  news(at: number, key: number, fields: Readonly<Record<string, unknown>>): void {
    this.#tell(at, key, { type: "ergon.news", fields } as EventObject);
  }

  /** An event that a durable child has sent to its parent. */
  fromChild(at: number, key: number, event: EventObject): void {
    const child = this.#keyed.get(key);
    const { _parent: parent } = child ?? {};
    if (parent !== undefined) this.turn(at, () => this.#root.system._relay(child, parent, event));
  }

  /** A number for something that an actor asks for, by which it is found again. Called by durable logic. */
  book(actor: unknown): number {
    const key = this.#nextKey++;
    this.#keyed.set(key, actor as InnerActor);
    return key;
  }

  /** Sends an actor an event at a time (epoch milliseconds), unless the actor stops before. Called by durable logic. */
  remind(actor: unknown, id: string, due: number, event: EventObject): void {
    const to = actor as InnerActor;
    this.#timers.scheduler.schedule(to, to, event, due - this.#at, id);
  }

  /** The actor that a key stands for is back. Called by durable logic. */
  adopt(actor: unknown, key: number): void {
    this.#keyed.set(key, actor as InnerActor);
  }

  /** Notes what an actor asks for. Called by durable logic. */
  ask(command: Command): void {
    if (!this.#closed) this.#commands.push(command);
    if (command.type === "stop") this.#keyed.delete(command.key);
  }

  /** The instance's id. */
  get id(): string {
    return this.#options.id;
  }

  /** The time of the present turn, epoch milliseconds. */
  get now(): number {
    return this.#at;
  }

  get nextKey(): number {
    return this.#nextKey;
  }

  /** What has been asked for since the last call. */
  takeCommands(): Command[] {
    const commands = this.#commands;
    this.#commands = [];
    return commands;
  }

  /** Whether anything of the tree has changed since the last call. */
  takeChanged(): boolean {
    const changed = this.#changed || this.#commands.length > 0;
    this.#changed = false;
    return changed;
  }

  /** The tree as a record holds it. Throws `InvalidError` (`NOT_SERIALISABLE`). */
  persist(): { readonly snapshot: unknown; readonly timers: readonly Timer[] } {
    const snapshot = persisted(this.#root, this.#places, this.#living, this.#timers.targets);
    return { snapshot, timers: this.#timers.stored() };
  }

  /** Whether nothing of the tree runs in the node, so that its record suffices. */
  get idle(): boolean {
    for (const actor of this.#living) if (isLocal(actor)) return false;
    return true;
  }

  /** Lets go of everything that runs in the node. The tree says nothing more. */
  close(): void {
    this.#closed = true;
    // Nobody sees the machines of a tree that is closed; to stop each would take XState the square of their number.
    for (const actor of this.#living) if (isLocal(actor)) actor._stop();
    this.#timers.clear();
    this.#commands = [];
  }

  #tell(at: number, key: number, event: EventObject): void {
    const actor = this.#keyed.get(key);
    if (actor?.getSnapshot().status !== "active") return;
    this.turn(at, () => actor._send(event));
  }

  /** XState lets the actors of one that has failed go on, and those that it has lost. Here they would be nobody's, and their tasks be done for nobody. */
  #stopOrphans(): void {
    for (const actor of this.#living) if (actor._parent?.getSnapshot().status !== "active") actor._stop();
  }

  #stopAll(): void {
    const machines = [this.#root];
    for (const actor of this.#living) {
      if (actor.logic.__xstatenode === true) machines.push(actor);
      else if (actor.getSnapshot().status === "active") actor._stop();
    }
    for (const actor of machines) actor._snapshot = { ...actor._snapshot, status: "stopped", children: {} };
    this.#living.clear();
  }

  /** Before an actor takes its first state. */
  #inspect(event: { readonly type: string; readonly actorRef: InnerActor }): void {
    if (event.type !== "@xstate.actor") return;
    const { actorRef: actor } = event;
    prepare(actor);
    // A new process counts from nothing, so what is named by a number gets one of the record's.
    if (actor._parent !== undefined && actor.id === actor.sessionId) rename(actor, `unnamed-${this.#nextKey++}`);
    // XState counts the actors of the process. Here each life of an instance begins anew, so that nothing comes to depend on that.
    if (this.#sessions++ === 0) actor.system._bookId = () => `x:${this.#sessions}`;
  }

  #hook(system: InnerSystem): void {
    const { _register: register, _unregister: unregister, _relay: relay } = system;
    system._register = (sessionId, actor) => {
      this.#adopt(actor);
      if (actor !== this.#root) this.#living.add(actor);
      return register(sessionId, actor);
    };
    system._unregister = (actor) => {
      this.#living.delete(actor);
      unregister(actor);
    };
    system._relay = (source, target, event) => {
      if (this.#closed) return;
      // XState tells parents once more how their children stand; they know.
      if (this.#restoring && event.type.startsWith("xstate.snapshot.")) return;
      if (target === this.#parent) return this.#toParent(event);
      if (!this.#inTurn) return this.#options.onLocal(() => this.#relay(relay, source, target, event));
      this.#relay(relay, source, target, event);
    };
    system._sendInspectionEvent = (event) => {
      this.#inspect(event);
      if (event.type === "@xstate.snapshot") this.#changed = true;
    };
    system.scheduler = this.#timers.scheduler;
  }

  #relay(relay: InnerSystem["_relay"], source: InnerActor | undefined, target: InnerActor, event: EventObject): void {
    if (target._processingStatus === STOPPED) {
      const { id, logger } = this.#options;
      return logger.debug(
        { id, actor: target.id, event: event.type },
        "an event was dropped because its actor has ended",
      );
    }
    if (++this.#messages > MOST_MESSAGES)
      throw new Error(`the actors of this instance sent each other more than ${MOST_MESSAGES} messages over one event`);
    relay(source, target, event);
  }

  #toParent(event: EventObject): void {
    // That the root has ended is told with its output, by the engine.
    if (event.type === "xstate.done.actor.root" || event.type === "xstate.error.actor.root") return;
    this.ask({ type: "parent", event: toPlain(parentEvent(event), "event") as StoredEvent });
  }

  #adopt(actor: InnerActor): void {
    const scope = actor._actorScope;
    const { emit } = scope;
    scope.emit = (event) => {
      emit(event);
      this.ask({ type: "emitted", event: readable(toPlain(event, "emitted")) as StoredEvent });
    };
    const { logic } = actor;
    if (logic.__xstatenode !== true && logic[DURABLE] !== true && logic.start !== undefined)
      postpone(actor, logic, {
        isClosed: () => this.#closed,
        whenStored: (run) => this.ask({ type: "local", run: () => this.#options.onLocal(run) }),
      });
  }
}

const PARENT_LOGIC = {
  getInitialSnapshot: () => ({ status: "active", output: undefined, error: undefined }),
  getPersistedSnapshot: (snapshot: unknown) => snapshot,
  transition: (snapshot: unknown) => snapshot,
} as unknown as AnyActorLogic;

/** The events of XState that tell a parent of its child, without what only makes sense in the child's process. */
function parentEvent(event: EventObject): EventObject {
  if (!event.type.startsWith("xstate.snapshot.")) return event;
  const { snapshot } = event as unknown as { readonly snapshot: Readonly<Record<string, unknown>> };
  const { status, value, context, output, error } = snapshot;
  return { type: event.type, snapshot: { status, value, context, output, error } } as EventObject;
}
