import {
  H,
  taskOption,
  type AbortParams,
  type ActorState,
  type AgentView,
  type DispatchParams,
  type Effect,
  type TaskSpec,
} from "@ergon/core";

import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { Behaviour, Host } from "../shard/host.ts";
import { AgentsTable, type AgentEntry } from "./agents-table.ts";
import { CreditDesk } from "./credit-desk.ts";
import { dispatchHeaders } from "./dispatch-message.ts";
import { DriverQueue } from "./driver-queue.ts";
import { liveStateOf, taskOf } from "./task-state.ts";

/** How a driver's work is handed out when no SDK agent announces it. */
export interface DriverOptions {
  /** The subject that plain agents serve; `agent.<driver>` of the namespace when absent. */
  readonly subject?: string | undefined;
  /** Most attempts in flight from one node. Absent: what the agents announce; 256 with plain agents, which announce nothing. */
  readonly limit?: number | undefined;
}

const DEFAULT_PLAIN_LIMIT = 256;

interface Driver {
  readonly name: string;
  readonly subject: string;
  /** Most attempts out at a time, where the node was told. */
  readonly limit: number | undefined;
  readonly queue: DriverQueue;
  /** Whether anybody serves the plain subject: told by the server's 503, or the lack of one. */
  served: "unknown" | "yes" | "no";
  /** Attempts out. */
  inFlight: number;
}

/** What the rest of the node hears of a task's changes. */
export interface TaskListeners {
  stored(actor: LiveActor, ended: boolean): void;
  dropped(actor: LiveActor): void;
  /** Whether somebody is still to be told of its end. */
  lingers(actor: LiveActor): boolean;
  /** A batch's decision is due for a held task that was read from the store. */
  held(actor: LiveActor): void;
}

/** Hands tasks to agents: the `task` machine's behaviour on its host. */
export class Dispatcher implements Behaviour {
  readonly agents: AgentsTable = new AgentsTable();
  readonly credits: CreditDesk;
  /** Attempts that are out. */
  readonly flights: Set<LiveActor> = new Set();
  /** Of these, the ones given to a plain subject and not heard of yet, oldest first. */
  readonly offered: Set<LiveActor> = new Set();
  readonly #drivers = new Map<string, Driver>();
  readonly #context: NodeContext;
  readonly #options: Readonly<Record<string, DriverOptions>>;
  readonly #listeners: TaskListeners;
  #host: Host | undefined;

  constructor(context: NodeContext, options: Readonly<Record<string, DriverOptions>>, listeners: TaskListeners) {
    this.#context = context;
    this.#options = options;
    this.#listeners = listeners;
    this.credits = new CreditDesk(context, this.agents, (driver) => this.pump(driver));
  }

  attach(host: Host): void {
    this.#host = host;
  }

  /** Takes an agent's beat. */
  heard(view: AgentView): void {
    const known = this.agents.get(view.id);
    if (view.state === "gone") {
      if (known !== undefined) this.lose(known, "said goodbye");
      return;
    }
    const entry = this.agents.heard(view, this.#context.clock.monotonic());
    if (known !== undefined && known.view.state === view.state && this.#waiting(view) === 0) return;
    if (known === undefined)
      for (const actor of this.flights) if (actor.flight?.agent === view.id) this.#adopt(actor, entry);
    for (const { name, concurrency } of view.drivers) {
      // A first slot before the first task, so that this one does not wait for the question.
      this.credits.ask(
        name,
        Math.max(this.#driver(name).queue.size, known === undefined ? Math.min(concurrency, 1) : 0),
      );
      this.pump(name);
    }
  }

  /** An agent is gone: its attempts are lost. */
  lose(entry: AgentEntry, how: string): void {
    this.agents.remove(entry);
    this.#context.logger.info({ agent: entry.id, attempts: entry.flights.size, how }, "an agent is gone");
    const reason = `agent ${entry.id} ${how}`;
    for (const actor of [...entry.flights]) this.#loseAttempt(actor, reason);
    for (const { name } of entry.view.drivers) {
      const driver = this.#driver(name);
      // With the last agent that announced itself gone, whether a plain one serves is to be found out.
      if (this.agents.credits(name).length === 0) driver.served = "no";
      this.pump(name);
    }
  }

  /** An attempt that came with its shard, at an agent that this node never heard of, and still does not. */
  loseUnheard(actor: LiveActor): void {
    this.#loseAttempt(actor, `agent ${actor.flight?.agent ?? ""} is not heard of`);
  }

  /** Nobody received the current attempt. */
  undelivered(actor: LiveActor): void {
    const { flight } = actor;
    if (flight === undefined) return;
    if (flight.agent !== undefined) {
      const entry = this.agents.get(flight.agent);
      if (entry === undefined) this.#loseAttempt(actor, `agent ${flight.agent} is gone`);
      else if (!entry.credits.has(this.#driverOf(actor).name))
        this.#loseAttempt(actor, `agent ${flight.agent} no longer serves the driver`);
      else this.probe(entry);
      return;
    }
    const driver = this.#driverOf(actor);
    driver.served = "no";
    this.#land(actor);
    const state = this.#host?.wake(actor);
    if (state !== undefined && liveStateOf(state) === "unserved") this.#enqueue(driver, actor);
    else this.#host?.send(actor, { type: "unserved", attempt: flight.attempt });
  }

  /** A plain agent has shown itself: the rest of its driver's tasks may go out. */
  served(actor: LiveActor): void {
    const driver = this.#driverOf(actor);
    if (driver.served === "yes") return;
    driver.served = "yes";
    this.pump(driver.name);
  }

  /** Set by the observer of agents: asks one whether it lives. */
  probe: (entry: AgentEntry) => void = () => undefined;

  /** Starts what waits for the driver, as far as there are slots. */
  pump(name: string): void {
    const driver = this.#driver(name);
    for (;;) {
      const actor = driver.queue.peek();
      if (actor === undefined || !this.#start(actor, driver)) break;
      this.#host?.commit(actor, () => undefined);
    }
    this.credits.ask(name, Math.min(driver.queue.size, room(driver)));
  }

  /** Tries again whether somebody serves the drivers that nobody served; no write is made unless somebody does. */
  tryUnserved(): void {
    for (const driver of this.#drivers.values()) {
      this.#forgetIfIdle(driver);
      if (driver.served !== "no" || driver.queue.size === 0 || this.agents.credits(driver.name).length > 0) continue;
      const actor = driver.queue.peek();
      const state = actor === undefined ? undefined : this.#host?.wake(actor);
      if (actor === undefined || state === undefined) continue;
      if (liveStateOf(state) === "unserved" && taskOf(state).attempt > 0)
        void this.#tryAgain(actor, driver, taskOf(state).attempt);
      else if (this.#offer(actor, driver)) this.#host?.commit(actor, () => undefined);
    }
  }

  /** Sends the current attempt once more: the agent knows it by its number and never runs it twice. */
  resend(actor: LiveActor): void {
    const { flight } = actor;
    if (flight !== undefined) this.#publish(actor, flight.attempt, flight.agent);
  }

  /** Offers that nobody refused for a moment have somebody at work. */
  settleOffers(olderThan: number): void {
    for (const actor of this.offered) {
      const { flight } = actor;
      if (flight === undefined || flight.sentAt > olderThan) break;
      this.offered.delete(actor);
      this.#host?.send(actor, { type: "taken", attempt: flight.attempt });
    }
  }

  /** The agent that a new task may start with at once: one with a free slot, unless others wait for it. */
  agentFor(spec: TaskSpec): string | undefined {
    const driver = this.#driver(spec.driver);
    return driver.queue.size > 0 || room(driver) <= 0 ? undefined : this.credits.pick(spec.driver)?.agent.id;
  }

  /** Why a live task waits, when its record does not say. */
  waitingFor(state: ActorState): string | undefined {
    if (liveStateOf(state) !== "ready") return undefined;
    const { driver } = taskOf(state);
    const agents = this.agents.credits(driver).length;
    return agents === 0
      ? `waiting for the subject of driver ${driver}`
      : `waiting for a free slot of ${agents} agent${agents === 1 ? "" : "s"} of driver ${driver}`;
  }

  // Behaviour of the task machine.

  settle(actor: LiveActor): void {
    const state = actor.state;
    if (state === undefined) return;
    const live = liveStateOf(state);
    const task = taskOf(state);
    const { flight } = actor;
    if (
      flight !== undefined &&
      (flight.attempt !== task.attempt || !(live === "started" || live === "offered" || live === "cancelling"))
    ) {
      this.#land(actor);
    }
    if (live === "ready") this.#admit(actor);
    else if (live === "started" && actor.flight === undefined && task.agent !== undefined)
      this.#occupy(actor, task.agent, task.attempt);
    else if (live === "unserved") this.#enqueue(this.#driverOf(actor), actor);
    else if (actor.ticket !== 0) this.#driverOf(actor).queue.remove(actor);
  }

  perform(actor: LiveActor, { type, params }: Effect): void {
    if (type === "dispatch") {
      const { attempt, agent } = params as DispatchParams;
      if (actor.flight?.attempt !== attempt) return;
      actor.flight.sentAt = this.#context.clock.monotonic();
      this.#publish(actor, attempt, agent);
      if (agent === undefined) this.#watchOffer(actor);
    } else if (type === "abort") {
      const { attempt, agent, reason } = params as AbortParams;
      if (agent !== undefined && attempt > 0) this.abort(agent, actor.id, attempt, reason);
    }
  }

  /** Tells an agent that an attempt counts for nothing any more. */
  abort(agent: string, task: string, attempt: number, reason: string): void {
    const { ports, names } = this.#context;
    ports.bus.publish(names.control(agent), NO_BYTES, {
      headers: { [H.event]: "abort", [H.task]: task, [H.attempt]: String(attempt), [H.reason]: reason },
    });
  }

  stored(actor: LiveActor, ended: boolean): void {
    this.#listeners.stored(actor, ended);
  }

  restored(actor: LiveActor): void {
    const state = this.#host?.wake(actor);
    if (state === undefined) return;
    const live = liveStateOf(state);
    const { attempt, agent } = taskOf(state);
    if (live === "held") return this.#listeners.held(actor);
    if (live === "ready" || live === "unserved") {
      this.settle(actor);
      if (this.#host !== undefined && live !== liveStateOf(this.#host.wake(actor)))
        this.#host.commit(actor, () => undefined);
      return;
    }
    if (live !== "started" && live !== "offered" && live !== "cancelling") return;
    const now = this.#context.clock.monotonic();
    // A plain agent that was heard to be at work goes on undisturbed; every other attempt is sent once more.
    const atWork = live === "started" && agent === undefined;
    this.#launch(actor, agent, attempt, atWork ? now : 0);
    const entry = agent === undefined ? undefined : this.agents.get(agent);
    if (entry !== undefined) this.#adopt(actor, entry);
    if (live === "cancelling") {
      if (agent !== undefined) this.abort(agent, actor.id, attempt, "cancelled");
    } else if (!atWork) {
      this.#publish(actor, attempt, agent);
      if (actor.flight !== undefined) actor.flight.sentAt = now;
      if (agent === undefined) this.offered.add(actor);
    }
  }

  dropped(actor: LiveActor): void {
    this.#land(actor, false);
    if (actor.ticket !== 0) this.#driverOf(actor).queue.remove(actor);
    this.#listeners.dropped(actor);
  }

  retentionMs(state: ActorState): number {
    return taskOption(taskOf(state), "retentionMs");
  }

  parks(state: ActorState): boolean {
    const live = liveStateOf(state);
    return live === "delayed" || live === "backoff";
  }

  rolledBack(): void {
    // The steps of a task throw nothing.
  }

  lingers(actor: LiveActor): boolean {
    return this.#listeners.lingers(actor);
  }

  #admit(actor: LiveActor): void {
    if (actor.ticket !== 0) return;
    const driver = this.#driverOf(actor);
    if (driver.queue.size === 0 && this.#start(actor, driver)) return;
    if (driver.served === "no" && this.agents.credits(driver.name).length === 0)
      this.#host?.transition(actor, { type: "unserved" });
    this.#enqueue(driver, actor);
    this.credits.ask(driver.name, Math.min(driver.queue.size, room(driver)));
  }

  /** Begins an attempt if there is a slot. The caller commits. */
  #start(actor: LiveActor, driver: Driver): boolean {
    // An attempt that is tried again is out already, though its task stands in the queue until somebody has it.
    if (actor.flight !== undefined || room(driver) <= 0) return false;
    const credit = this.credits.pick(driver.name);
    if (credit === undefined) return driver.served !== "no" && this.#offer(actor, driver);
    if (this.#host?.transition(actor, { type: "start", agent: credit.agent.id }) !== true)
      return this.#skip(actor, driver);
    driver.queue.remove(actor);
    this.#occupy(actor, credit.agent.id, this.#attemptOf(actor));
    return true;
  }

  /** The attempt takes a slot of the agent that was picked for it. */
  #occupy(actor: LiveActor, agent: string, attempt: number): void {
    this.#launch(actor, agent, attempt, 0);
    const entry = this.agents.get(agent);
    const credit = entry?.credits.get(this.#driverOf(actor).name);
    if (entry === undefined || credit === undefined) return;
    this.credits.use(credit);
    entry.flights.add(actor);
  }

  #offer(actor: LiveActor, driver: Driver): boolean {
    if (this.agents.credits(driver.name).length > 0) return false;
    // Until it is known that somebody serves the subject, one task finds out for all.
    if (driver.inFlight >= (driver.served === "yes" ? (driver.limit ?? DEFAULT_PLAIN_LIMIT) : 1)) return false;
    if (this.#host?.transition(actor, { type: "offer" }) !== true) return this.#skip(actor, driver);
    driver.queue.remove(actor);
    this.#launch(actor, undefined, this.#attemptOf(actor), 0);
    return true;
  }

  /** A queued task that cannot be started any more leaves the queue. */
  #skip(actor: LiveActor, driver: Driver): boolean {
    driver.queue.remove(actor);
    return false;
  }

  #launch(actor: LiveActor, agent: string | undefined, attempt: number, sentAt: number): void {
    actor.flight = { agent, attempt, launchedAt: this.#context.clock.monotonic(), sentAt, heardAt: 0 };
    this.flights.add(actor);
    this.#driverOf(actor).inFlight++;
  }

  #adopt(actor: LiveActor, entry: AgentEntry): void {
    entry.flights.add(actor);
    const credit = entry.credits.get(this.#driverOf(actor).name);
    if (credit !== undefined) this.credits.adopt(credit);
  }

  /** The attempt is over, for this node: its slot is free. */
  #land(actor: LiveActor, pump = true): void {
    const { flight } = actor;
    if (flight === undefined) return;
    actor.flight = undefined;
    actor.progress = undefined;
    this.flights.delete(actor);
    this.offered.delete(actor);
    const driver = this.#driverOf(actor);
    driver.inFlight--;
    const entry = flight.agent === undefined ? undefined : this.agents.get(flight.agent);
    if (entry?.flights.delete(actor) === true) {
      const credit = entry.credits.get(driver.name);
      if (credit !== undefined) this.credits.free(credit);
    }
    if (pump && driver.queue.size > 0) queueMicrotask(() => this.pump(driver.name));
  }

  #loseAttempt(actor: LiveActor, reason: string): void {
    const { flight } = actor;
    if (flight === undefined) return;
    if (this.#host?.send(actor, { type: "lost", attempt: flight.attempt, reason }) !== true) this.#land(actor);
  }

  #publish(actor: LiveActor, attempt: number, agent: string | undefined): void {
    const state = this.#host?.wake(actor);
    if (state === undefined) return;
    const task = taskOf(state);
    const { ports, names, node, clock } = this.#context;
    const subject = agent === undefined ? this.#driverOf(actor).subject : names.agent(task.driver, agent);
    const headers = dispatchHeaders(task, attempt, Math.max(0, (task.deadline ?? 0) - clock.now()), node);
    ports.bus.publish(subject, task.payload, { headers, reply: names.reply(actor.shard.number, actor.id, attempt) });
  }

  /** If the server has not refused the offer by the time it answers a later question, somebody serves the subject. */
  #watchOffer(actor: LiveActor): void {
    this.offered.add(actor);
    const driver = this.#driverOf(actor);
    if (driver.served === "yes") return;
    void this.#flushed().then((flushed) => {
      if (flushed && this.offered.has(actor)) this.served(actor);
    });
  }

  async #tryAgain(actor: LiveActor, driver: Driver, attempt: number): Promise<void> {
    if (actor.flight !== undefined) return;
    this.#launch(actor, undefined, attempt, this.#context.clock.monotonic());
    this.offered.add(actor);
    this.#publish(actor, attempt, undefined);
    const flushed = await this.#flushed();
    if (!this.offered.has(actor)) return;
    if (!flushed) return this.#land(actor, false);
    this.offered.delete(actor);
    driver.served = "yes";
    driver.queue.remove(actor);
    this.#host?.send(actor, { type: "taken", attempt });
    this.pump(driver.name);
  }

  /** Whether the server has answered everything before this moment; without a connection nothing is known. */
  async #flushed(): Promise<boolean> {
    try {
      await this.#context.ports.bus.flush();
      return true;
    } catch {
      // The connection's loss is told in the log where it happens.
      return false;
    }
  }

  #attemptOf(actor: LiveActor): number {
    return actor.state === undefined ? 0 : taskOf(actor.state).attempt;
  }

  #enqueue(driver: Driver, actor: LiveActor): void {
    if (actor.state === undefined) return;
    const task = taskOf(actor.state);
    driver.queue.add(actor, taskOption(task, "priority"), task.failures + task.lost > 0);
  }

  #waiting(view: AgentView): number {
    return view.drivers.reduce((sum, { name }) => sum + (this.#drivers.get(name)?.queue.size ?? 0), 0);
  }

  #driverOf(actor: LiveActor): Driver {
    const state = this.#host?.wake(actor);
    return this.#driver(state === undefined ? "" : taskOf(state).driver);
  }

  /** Whoever may submit names drivers: what nobody is known to serve, and nothing waits for, takes no room. */
  #forgetIfIdle(driver: Driver): void {
    const { name, inFlight, queue, served } = driver;
    if (inFlight === 0 && queue.size === 0 && served !== "yes" && this.agents.credits(name).length === 0)
      this.#drivers.delete(name);
  }

  #driver(name: string): Driver {
    let driver = this.#drivers.get(name);
    if (driver === undefined) {
      const { subject, limit } = this.#options[name] ?? {};
      driver = {
        name,
        subject: subject ?? this.#context.names.plainAgent(name),
        limit,
        queue: new DriverQueue(),
        served: "unknown",
        inFlight: 0,
      };
      this.#drivers.set(name, driver);
    }
    return driver;
  }
}

/** How many more attempts the node may have out with the driver's agents. */
function room({ limit, inFlight }: Driver): number {
  return limit === undefined ? Number.POSITIVE_INFINITY : limit - inFlight;
}
