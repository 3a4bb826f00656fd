import type { Surroundings } from "../actor/machine.ts";
import { type Machine } from "../actor/machine.ts";
import type { ParentLink } from "../actor/parent-link.ts";
import { createMachineRegistry, type MachineRegistry } from "../actor/registry.ts";
import type { Effect, Timer, Turn } from "../actor/state.ts";
import { isErgonError } from "../base/errors.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import { toPlain } from "../base/plain.ts";
import { concludeAsks, performAsk, prepareAsks, resumeAsks, type Command } from "../machines/asks/asks.ts";
import type { Ending, StoredEvent } from "../machines/command.ts";
import { failureOf } from "../machines/failure.ts";
import { isMachineState, withoutTell } from "../machines/machine-state.ts";
import type { Tell } from "../machines/tell.ts";
import { createManualClock, type ManualClock } from "../memory/clock.ts";
import { taskDefaults } from "../task/spec.ts";
import { Resident } from "./resident.ts";

export interface WorldOptions {
  readonly machines: readonly Machine[];
  readonly logger?: Logger | undefined;
  /** True drops all state from memory after each step, and restores it from the records. @defaultValue false */
  readonly reloadEachStep?: boolean;
  /** True delivers each message between actors twice. @defaultValue false */
  readonly duplicateTells?: boolean;
  /** Called at each commit with its number, from 1. The result says if the node dies just before or just after it. */
  readonly crashAt?: ((commit: number) => "before" | "after" | undefined) | undefined;
}

/** The node has died during a move. The author of the move repeats it. */
export class Crash extends Error {
  readonly when: "before" | "after";

  constructor(when: "before" | "after") {
    super(`the node died ${when} a commit`);
    this.when = when;
  }
}

/** An event of the engine without its time, which the world adds. */
export interface Happening {
  readonly type: string;
  readonly [field: string]: unknown;
}

/**
 * A node for tests, without NATS and without a network. It steps actors on their own engine, stores their records as bytes, performs their requests
 * after the commit, and delivers their messages in order.
 */
export class World {
  readonly clock: ManualClock = createManualClock();
  readonly residents: Map<string, Resident> = new Map();
  /** The events that instances have emitted, oldest first. Emitted events arrive at most once, so those of a step that crashed are missing. */
  readonly emitted: StoredEvent[] = [];
  /** The dispatches and aborts of actors whose engine has no messages (`task`), oldest first. */
  readonly effects: Effect[] = [];
  commits = 0;
  readonly #options: WorldOptions;
  readonly #machines: MachineRegistry;
  #busy = false;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#machines = createMachineRegistry(options.machines);
  }

  /** The residents that have not ended. */
  get live(): Resident[] {
    return [...this.residents.values()].filter((resident) => !resident.ended);
  }

  /** Starts an actor. An id that exists already stays as it is. Throws the engine's error. */
  begin(id: string, machine: Machine, input: unknown): Promise<void> {
    return this.#move(() => {
      if (!this.residents.has(id)) this.#begin(id, machine, input);
    });
  }

  /** Delivers an event to an actor, with everything that follows. Throws when the result cannot be stored; the event then has no effect. */
  happen(id: string, happening: Happening): Promise<void> {
    return this.#move(() => this.#step(this.#resident(id), happening));
  }

  /** Delivers an event that has no caller. An actor that cannot go on from it fails. */
  advanceActor(id: string, happening: Happening): Promise<void> {
    return this.#move(() => this.#advance(this.#resident(id), happening));
  }

  /** Ends a task of an instance. The call changes nothing if the instance no longer needs the task, or has ended. */
  endTask(id: string, key: number, ending: Ending): Promise<void> {
    return this.#move(() => {
      const resident = this.#resident(id);
      resident.tasks.delete(key);
      if (!resident.ended) this.#advance(resident, { type: "ergon.task", key, ending });
    });
  }

  /** The due time of the next timer, in epoch milliseconds. */
  get nextDue(): number | undefined {
    const due = this.live.flatMap(({ present }) => present.timers.map((timer) => timer.due));
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /** Moves time on by `ms`, and fires the due timers in order. */
  async pass(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    for (let due = this.nextDue; due !== undefined && due <= end; due = this.nextDue) {
      await this.clock.advance(Math.max(0, due - this.clock.now()));
      await this.#move(() => this.#fire());
    }
    await this.clock.advance(end - this.clock.now());
    await this.#move(() => undefined);
  }

  /** Drops all state from memory, like `kill -9`, and restores it from the records. */
  async reload(): Promise<void> {
    this.#reload();
    await this.#move(() => undefined);
  }

  /** Stops all actors and removes them. */
  close(): void {
    for (const resident of this.residents.values()) resident.forget();
    this.residents.clear();
  }

  /** Makes one move, and all that follows from it at this time. After a crash, it restores the actors and throws the crash. */
  async #move(run: () => void): Promise<void> {
    try {
      this.#exclusively(run);
      await this.#settle();
      if (this.#options.reloadEachStep === true) {
        this.#reload();
        await this.#settle();
      }
    } catch (error) {
      if (error instanceof Crash) {
        this.#reload();
        await this.#settle();
      }
      throw error;
    }
  }

  async #settle(): Promise<void> {
    let commits: number;
    do {
      ({ commits } = this);
      this.#exclusively(() => this.#pump());
      await this.clock.settle();
    } while (this.commits > commits);
  }

  #exclusively(run: () => void): void {
    this.#busy = true;
    try {
      run();
    } finally {
      this.#busy = false;
    }
  }

  #reload(): void {
    for (const resident of this.residents.values()) {
      resident.forget();
      if (resident.stored === undefined) this.residents.delete(resident.id);
      else resident.reload(this.#machines, this.#surroundings(resident));
    }
    // Code that ran in the node starts again.
    this.#exclusively(() => {
      for (const resident of this.residents.values()) this.#startLocal(resident);
    });
  }

  #begin(id: string, machine: Machine, input: unknown): void {
    const resident = new Resident(id, machine, (event) => this.emitted.push(event));
    const turn = machine.engine.begin(machine, input, this.clock.now(), this.#surroundings(resident));
    this.residents.set(id, resident);
    this.#commit(resident, this.#take(resident, turn));
  }

  #step(resident: Resident, happening: Happening): void {
    const { machine, present } = resident;
    const event = { ...happening, ...this.#time(resident) };
    this.#turn(resident, () => machine.engine.step(machine, present, event));
  }

  #advance(resident: Resident, happening: Happening): void {
    try {
      this.#step(resident, happening);
    } catch (error) {
      this.#fail(resident, error);
    }
  }

  #fail(resident: Resident, error: unknown): void {
    if (!isErgonError(error)) throw error;
    this.#step(resident, { type: "ergon.failed", code: error.code, message: error.message });
  }

  #fire(): void {
    const now = this.clock.now();
    const due = this.live.flatMap((resident) => resident.present.timers.map((timer) => ({ resident, timer })));
    const [first] = due.filter(({ timer }) => timer.due <= now).toSorted((a, b) => a.timer.due - b.timer.due);
    if (first !== undefined) this.#fireTimer(first.resident, first.timer);
  }

  #fireTimer(resident: Resident, timer: Timer): void {
    const { machine, present } = resident;
    try {
      this.#turn(resident, () => machine.engine.fire(machine, present, timer, this.#time(resident)));
    } catch (error) {
      this.#fail(resident, error);
    }
  }

  #turn(resident: Resident, run: () => Turn): void {
    let effects: Effect[];
    try {
      const turn = run();
      if (turn.state === resident.present) return;
      effects = this.#take(resident, turn);
    } catch (error) {
      // A step that cannot be stored has no effect.
      resident.forget();
      resident.reload(this.#machines, this.#surroundings(resident));
      this.#startLocal(resident);
      throw error;
    }
    this.#commit(resident, effects);
  }

  /**
   * Adds a turn to the next write, and the turns that its asks begin at once. A cancelled task ends at once, because no agent has it. Returns the
   * effects that wait for the write.
   */
  #take(resident: Resident, { state, effects: asked }: Turn): Effect[] {
    resident.state = state;
    const effects = prepareAsks(resident, asked);
    concludeAsks(resident, asked);
    if (resident.ended) resident.tasks.clear();
    for (const key of resident.toCancel.splice(0)) {
      if (!resident.tasks.delete(key) || resident.ended) continue;
      const { machine, present } = resident;
      const event = { ...cancelled(key), ...this.#time(resident) };
      effects.push(...this.#take(resident, machine.engine.step(machine, present, event)));
    }
    return effects;
  }

  /** Stores the present state of an actor, and then performs its effects. */
  #commit(resident: Resident, effects: readonly Effect[]): void {
    this.commits++;
    const crash = this.#options.crashAt?.(this.commits);
    if (crash === "before") throw new Crash("before");
    resident.stored = resident.encode();
    if (crash === "after") throw new Crash("after");
    for (const effect of effects) if (!performAsk(resident, effect)) this.effects.push(effect);
  }

  /** Ends a cancelled standalone task of the test at once, because no agent has it. */
  #cancelTask(resident: Resident, key: number): void {
    if (resident.tasks.delete(key) && !resident.ended) this.#advance(resident, cancelled(key));
  }

  #startLocal(resident: Resident): void {
    const { state } = resident;
    if (state === undefined || !("tree" in state)) return;
    const { tree } = state as unknown as { readonly tree: { takeCommands(): Command[] } };
    resumeAsks(resident, tree.takeCommands());
  }

  /** Delivers messages until none is left. */
  #pump(): void {
    for (let next = this.#nextTell(); next !== undefined; next = this.#nextTell()) {
      const { sender, tell } = next;
      for (let times = this.#options.duplicateTells === true ? 2 : 1; times > 0; times--) this.#deliver(sender, tell);
      // A crash before this line sends the message again.
      const { state } = sender;
      if (state !== undefined && isMachineState(state)) sender.state = withoutTell(state, tell.seq);
    }
  }

  #nextTell(): { readonly sender: Resident; readonly tell: Tell } | undefined {
    for (const sender of this.residents.values()) {
      const { state } = sender;
      const tell = state !== undefined && isMachineState(state) ? state.meta.outbox[0] : undefined;
      if (tell !== undefined) return { sender, tell };
    }
    return undefined;
  }

  #deliver(sender: Resident, tell: Tell): void {
    const { to, key, what } = tell;
    if (what.kind === "start") return this.#startChild(sender, tell);
    const target = this.residents.get(to);
    if (target !== undefined && !target.ended)
      return this.#advance(target, { type: "ergon.told", from: sender.id, tell });
    // The target is a child that the test answers for. The parent still receives the end of a child that it has only cancelled.
    if (what.kind !== "stop") return;
    const { state } = sender;
    const isAwaited = state !== undefined && isMachineState(state) && state.meta.children[key] !== undefined;
    if (isAwaited) this.#cancelTask(sender, key);
    else sender.tasks.delete(key);
  }

  #startChild(sender: Resident, { to, key, what }: Tell): void {
    if (what.kind !== "start") return;
    const { machine: name, version, input, sync, retentionMs, correlationId, spec } = what.child;
    if (spec !== undefined) {
      sender.tasks.set(key, { key, spec });
      return;
    }
    const parent: ParentLink = { id: sender.id, key, sync };
    const existing = this.residents.get(to);
    if (existing !== undefined) {
      const { state } = existing;
      const link = state !== undefined && isMachineState(state) ? state.meta.parent : undefined;
      if (link?.id === sender.id && link.key === key) return;
      return this.#refuse(sender, key, { code: "ID_CONFLICT", message: "the id is taken", retryable: false });
    }
    try {
      const machine = version === undefined ? this.#machines.newest(name) : this.#machines.get(name, version);
      const given = { input, retentionMs, correlationId, parent, fingerprint: 0, at: this.clock.now() };
      this.#begin(to, machine, given);
    } catch (error) {
      if (error instanceof Crash) throw error;
      this.#refuse(sender, key, failureOf(error));
    }
  }

  #refuse(sender: Resident, key: number, error: unknown): void {
    if (!sender.ended) this.#advance(sender, { type: "ergon.task", key, ending: { kind: "error", error } });
  }

  #surroundings(resident: Resident): Surroundings {
    const logger = this.#options.logger ?? silentLogger;
    return { id: resident.id, logger, onLocal: (run) => this.#local(resident, run) };
  }

  /** Handles the result of an actor that runs in the node. */
  #local(resident: Resident, run: () => void): void {
    const take = (): void => {
      if (this.residents.get(resident.id) !== resident || resident.state?.snapshot.status !== "active") return;
      this.#advance(resident, { type: "ergon.local", run });
    };
    if (this.#busy) return take();
    try {
      this.#exclusively(take);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.#reload();
    }
  }

  #time(resident: Resident): { readonly at: number; readonly chance: number } {
    const updatedAt = resident.machine.engine.updatedAt(resident.present);
    return { at: Math.max(this.clock.now(), updatedAt), chance: 0.5 };
  }

  #resident(id: string): Resident {
    const resident = this.residents.get(id);
    if (resident === undefined) throw new Error(`there is no actor ${id} here`);
    return resident;
  }
}

/** The end of a task that was cancelled before an agent had it. */
function cancelled(key: number): Happening {
  const error = { code: "TASK_CANCELLED", message: "cancelled", retryable: false };
  return { type: "ergon.task", key, ending: { kind: "error", error } };
}

/** The start of an instance without further options. */
export function startOf(input: unknown, at: number): Happening {
  return { type: "start", input: toPlain(input, "input"), at, retentionMs: taskDefaults.retentionMs, fingerprint: 0 };
}
