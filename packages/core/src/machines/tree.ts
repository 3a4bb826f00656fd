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

/** The number of messages that one turn may cause inside a tree. The limit keeps two actors that answer each other for ever from holding up the node. */
const MOST_MESSAGES = 10_000;

export interface TreeOptions {
  readonly id: string;
  readonly logger: Logger;
  /** Runs a turn that something inside the node began, for example the result of a promise or an event of a callback. */
  readonly onLocal: (run: () => void) => void;
  /** Says whether a durable parent waits for the end only, receives each change as well, or does not exist. */
  readonly parent: "none" | "to-end" | "to-changes";
}

/** The key under which a system of actors keeps its tree. All copies of this package share it, because a module of machines may bring its own copy. */
const TREE: unique symbol = Symbol.for("ergon.tree");

/**
 * An instance of a user's machine with all the actors that it has spawned, run by XState's own interpreter. The tree delays only the effects that
 * must follow a commit. It keeps timers as data, starts promises and callbacks later, and collects the requests of durable actors.
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
  /** All actors except the root that have started and have not ended. */
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
    // The parent lives elsewhere; a stand-in takes the events that are sent to it.
    const parent = options.parent === "none" ? undefined : createActor(PARENT_LOGIC, { id: "parent" });
    // XState makes the children within the call that makes the root.
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
    // An error ends the instance, and the record keeps it. Without a listener XState would throw the error at the process.
    this.root.subscribe({ error: () => undefined });
  }

  /** Starts an instance. */
  static begin(logic: AnyActorLogic, input: unknown, at: number, options: TreeOptions): ActorTree {
    const tree = new ActorTree(logic, options, 1, { input });
    tree.turn(at, () => tree.root.start());
    return tree;
  }

  /** Restores an instance from a snapshot, which the tree then owns. The timers keep their due times. Throws when the snapshot does not fit the machine. */
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

  /** Returns the tree of an actor. Throws when the actor runs outside Ergon. */
  static of(scope: { readonly system: unknown }, what: string): ActorTree {
    const { [TREE]: tree } = scope.system as { readonly [TREE]?: ActorTree };
    if (tree === undefined)
      throw new Error(`${what} runs on an Ergon node only; in a test of the bare machine provide another actor for it`);
    return tree;
  }

  /** Runs one action of the tree. All that follows from it inside the tree happens before this method returns. */
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

  /** Delivers a timer's event and removes the timer. */
  fire(at: number, timer: Timer): void {
    const due = this.#timers.take(timer);
    if (due !== undefined) this.turn(at, () => this.#root.system._relay(due.source, due.target, due.event));
  }

  /** Stops the machine and all its actors as XState does, but in linear time. XState takes the square of the number of actors. */
  stop(at: number): void {
    this.turn(at, () => this.#stopAll());
    this.#changed = true;
  }

  /** Reports the end of a task or a durable child to the actor that asked for it. */
  ended(at: number, key: number, ending: Ending): void {
    this.#tell(at, key, { type: "ergon.ended", ending } as EventObject);
    this.#keyed.delete(key);
  }

  /** Reports a durable child's news to the actor that stands for the child. */
  news(at: number, key: number, fields: Readonly<Record<string, unknown>>): void {
    this.#tell(at, key, { type: "ergon.news", fields } as EventObject);
  }

  /** Delivers an event that a durable child has sent to its parent. */
  fromChild(at: number, key: number, event: EventObject): void {
    const child = this.#keyed.get(key);
    const { _parent: parent } = child ?? {};
    if (parent !== undefined) this.turn(at, () => this.#root.system._relay(child, parent, event));
  }

  /** Returns a number under which the tree finds the actor that makes a request. Durable logic calls this method. */
  book(actor: unknown): number {
    const key = this.#nextKey++;
    this.#keyed.set(key, actor as InnerActor);
    return key;
  }

  /** Sends an actor an event at a time (epoch milliseconds), unless the actor stops before. Durable logic calls this method. */
  remind(actor: unknown, id: string, due: number, event: EventObject): void {
    const to = actor as InnerActor;
    this.#timers.scheduler.schedule(to, to, event, due - this.#at, id);
  }

  /** Registers a restored actor under its number. Durable logic calls this method. */
  adopt(actor: unknown, key: number): void {
    this.#keyed.set(key, actor as InnerActor);
  }

  /** Adds a request of an actor. Durable logic calls this method. */
  ask(command: Command): void {
    if (!this.#closed) this.#commands.push(command);
    if (command.type === "stop") this.#keyed.delete(command.key);
  }

  get id(): string {
    return this.#options.id;
  }

  /** The time of the present turn, in epoch milliseconds. */
  get now(): number {
    return this.#at;
  }

  get nextKey(): number {
    return this.#nextKey;
  }

  /** Returns the requests since the last call. */
  takeCommands(): Command[] {
    const commands = this.#commands;
    this.#commands = [];
    return commands;
  }

  /** Returns true if anything in the tree has changed since the last call. */
  takeChanged(): boolean {
    const changed = this.#changed || this.#commands.length > 0;
    this.#changed = false;
    return changed;
  }

  /** Returns the tree as a record holds it. Throws `InvalidError` (`NOT_SERIALISABLE`). */
  persist(): { readonly snapshot: unknown; readonly timers: readonly Timer[] } {
    const snapshot = persisted(this.#root, this.#places, this.#living, this.#timers.targets);
    return { snapshot, timers: this.#timers.stored() };
  }

  /** True if nothing of the tree runs in the node, so that its record suffices. */
  get idle(): boolean {
    for (const actor of this.#living) if (isLocal(actor)) return false;
    return true;
  }

  /** Stops everything that runs in the node. The tree makes no further requests. */
  close(): void {
    this.#closed = true;
    // Nobody reads the machines of a closed tree, so they stay as they are. XState would take the square of their number to stop each.
    for (const actor of this.#living) if (isLocal(actor)) actor._stop();
    this.#timers.clear();
    this.#commands = [];
  }

  #tell(at: number, key: number, event: EventObject): void {
    const actor = this.#keyed.get(key);
    if (actor?.getSnapshot().status !== "active") return;
    this.turn(at, () => actor._send(event));
  }

  /**
   * Stops the actors whose parent no longer runs. XState lets the actors of a failed one run on, and those that it has lost, so their tasks would run
   * for nobody.
   */
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

  /** Prepares an actor before it takes its first state. */
  #inspect(event: { readonly type: string; readonly actorRef: InnerActor }): void {
    if (event.type !== "@xstate.actor") return;
    const { actorRef: actor } = event;
    prepare(actor);
    // XState numbers unnamed actors anew in each process, so such an actor gets a number from the record instead.
    if (actor._parent !== undefined && actor.id === actor.sessionId) rename(actor, `unnamed-${this.#nextKey++}`);
    // XState numbers the actors of the process. Here each life of an instance begins at 1, so that nothing can depend on the process.
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
      // After a restore, XState repeats the states of children to parents that know them already.
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
    // The engine reports the end of the root, together with its output.
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

/** Returns an event for the parent without the parts that have a meaning only in the child's process. */
function parentEvent(event: EventObject): EventObject {
  if (!event.type.startsWith("xstate.snapshot.")) return event;
  const { snapshot } = event as unknown as { readonly snapshot: Readonly<Record<string, unknown>> };
  const { status, value, context, output, error } = snapshot;
  return { type: event.type, snapshot: { status, value, context, output, error } } as EventObject;
}
