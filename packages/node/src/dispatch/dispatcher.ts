import { type AgentView } from "@ergon/core";
import {
  taskOption,
  liveStateOf,
  taskOf,
  type AbortParams,
  type ActorState,
  type DispatchParams,
  type Effect,
  type Gap,
  type TaskSpec,
  type Timer,
} from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { DriverOptions } from "../options.ts";
import type { Flight, LiveActor } from "../shard/actor.ts";
import type { Behaviour } from "../shard/behaviour.ts";
import type { Stepping } from "../shard/hosting.ts";
import { Aborts } from "./aborts.ts";
import { AgentProbes } from "./agent-probes.ts";
import { AgentsTable, type AgentEntry } from "./agents-table.ts";
import { Credits } from "./credits.ts";
import { Drivers, refusalOf, type Driver, type Place } from "./drivers.ts";
import { Flights } from "./flights.ts";
import { PlainAgents } from "./plain-agents.ts";
import { ServerPulse } from "./server-pulse.ts";
import { Starter } from "./starter.ts";
import { Twins } from "./twins.ts";

export type { DriverOptions };

/** The parts of the node that hear about a task's changes. */
export interface TaskListeners {
  stored(actor: LiveActor, ended: boolean): void;
  dropped(actor: LiveActor): void;
  /** Tells whether the node still has to report the task's end to somebody. */
  lingers(actor: LiveActor): boolean;
  /** The node read an ended task from the store, and still has to report its end. */
  untold(actor: LiveActor): void;
  /** The node read a held task from the store, and its batch needs a decision. */
  held(actor: LiveActor): void;
}

/** Hands tasks to agents. It is the behaviour of the `task` machine on its host. */
export class Dispatcher implements Behaviour {
  readonly agents: AgentsTable = new AgentsTable();
  readonly aborts: Aborts;
  readonly credits: Credits;
  readonly flights: Flights;
  readonly plainAgents: PlainAgents;
  readonly probes: AgentProbes;
  readonly pulse: ServerPulse;
  readonly twins: Twins;
  readonly #drivers: Drivers;
  readonly #starter: Starter;
  readonly #context: NodeContext;
  readonly #listeners: TaskListeners;
  readonly #host: Stepping;

  constructor(
    context: NodeContext,
    host: Stepping,
    options: Readonly<Record<string, DriverOptions>>,
    listeners: TaskListeners,
  ) {
    this.#context = context;
    this.#host = host;
    this.#listeners = listeners;
    this.twins = new Twins(context);
    this.pulse = new ServerPulse(context);
    this.probes = new AgentProbes(context, this.agents, this.pulse, (entry) => this.lose(entry, "is gone"));
    this.aborts = new Aborts(context, this.agents);
    this.credits = new Credits(
      context,
      this.agents,
      (driver) => this.pump(driver),
      (driver, agent) => this.#drivers.waits(driver, agent),
    );
    this.flights = new Flights(context, this.agents, this.credits);
    this.#drivers = new Drivers(context.names, options);
    const parts = { drivers: this.#drivers, agents: this.agents, flights: this.flights, host };
    this.plainAgents = new PlainAgents(context, { ...parts, pump: (driver) => this.pump(driver) });
    this.#starter = new Starter({ ...parts, credits: this.credits, plainAgents: this.plainAgents });
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
      for (const actor of this.flights.out)
        if (actor.flight?.agent === view.id) this.flights.adopt(actor, this.#driverOf(actor), entry);
    this.credits.refresh(entry);
    for (const { name } of view.drivers) {
      // Ask for a first slot before the first task comes, otherwise that task would wait for the question.
      this.credits.ask(name, { least: known === undefined ? 1 : 0 });
      this.pump(name);
    }
  }

  /** An agent is gone, so its attempts are lost. */
  lose(entry: AgentEntry, how: string): void {
    this.agents.remove(entry);
    this.aborts.gone(entry.id);
    this.#context.logger.info({ agent: entry.id, attempts: entry.flights.size, how }, "an agent is gone");
    const reason = `agent ${entry.id} ${how}`;
    for (const actor of [...entry.flights]) this.#loseAttempt(actor, reason);
    for (const { name } of entry.view.drivers) {
      const driver = this.#drivers.get(name);
      // The last agent that announced itself is gone, so the node must find out whether a plain agent serves the driver.
      if (this.agents.credits(name).length === 0) driver.served = "no";
      this.pump(name);
    }
  }

  /** An attempt came with its shard, and the node has never heard of the attempt's agent. */
  loseUnheard(actor: LiveActor): void {
    this.#loseAttempt(actor, `agent ${actor.flight?.agent ?? ""} is not heard of`);
  }

  /** The server refused a message of this node to the subject, so nobody received any message there. */
  refused(subject: string): void {
    for (const driver of this.#drivers.all())
      if (driver.subject === subject) driver.refusedAt = this.#context.clock.monotonic();
    for (const actor of [...this.flights.out]) {
      const { flight } = actor;
      const driver = this.#driverOf(actor);
      if (flight === undefined || flight.heardAt > 0) continue;
      if (flight.agent === undefined) {
        if (driver.subject === subject && this.flights.offered.has(actor))
          this.#deserted(actor, flight.attempt, driver);
      } else if (this.#context.names.agent(driver.name, flight.agent) === subject) {
        const reason = `this node's NATS user may not publish to ${subject}`;
        this.#host.advance(actor, { type: "returned", attempt: flight.attempt, reason });
      }
    }
  }

  /** Nobody received the current attempt. */
  undelivered(actor: LiveActor): void {
    const { flight } = actor;
    if (flight === undefined) return;
    if (flight.agent !== undefined) {
      flight.bounced = true;
      const entry = this.agents.get(flight.agent);
      // The node sends the attempt again in a second, when an agent that is on its way back may get it.
      if (entry === undefined && this.pulse.agentsMayReturn) return;
      if (entry === undefined) this.#loseAttempt(actor, `agent ${flight.agent} is gone`);
      else if (!entry.credits.has(this.#driverOf(actor).name))
        this.#loseAttempt(actor, `agent ${flight.agent} no longer serves the driver`);
      else this.probes.ask(entry);
      return;
    }
    const driver = this.#driverOf(actor);
    driver.refusedAt = undefined;
    this.#deserted(actor, flight.attempt, driver);
  }

  #deserted(actor: LiveActor, attempt: number, driver: Driver): void {
    driver.served = "no";
    this.#land(actor);
    if (liveStateOf(this.#host.wake(actor)) === "unserved") this.#starter.enqueue(actor, this.#placeOf(actor));
    else this.#host.advance(actor, { type: "unserved", attempt, reason: refusalOf(driver) });
  }

  /** The node heard the agent that has the attempt. */
  heardOf(actor: LiveActor, flight: Flight): void {
    const now = this.#context.clock.monotonic();
    flight.heardAt = now;
    // A plain agent has shown itself.
    if (flight.agent === undefined) return this.plainAgents.served(this.#driverOf(actor));
    const entry = this.agents.get(flight.agent);
    if (entry !== undefined) entry.heardAt = now;
  }

  /** Starts the waiting tasks of the driver, as far as there are slots. */
  pump(name: string): void {
    this.#starter.pump(this.#drivers.get(name));
  }

  /** Sends the current attempt again. The agent recognizes its number and never runs it twice. */
  resend(actor: LiveActor): void {
    const { flight } = actor;
    if (flight === undefined) return;
    flight.again ||= !flight.bounced;
    this.#publish(actor, flight.attempt, flight.agent);
  }

  /** Finds the agent that a new task may start with at once. */
  agentFor(spec: TaskSpec): string | undefined {
    return this.#starter.agentFor(spec);
  }

  /** Lists the drivers with a subject of their own, and the subjects that this node may not publish to. */
  subjects(): { readonly drivers: Readonly<Record<string, string>>; readonly refused: readonly string[] } {
    const all = [...this.#drivers.all()];
    return {
      drivers: this.#drivers.subjects,
      refused: all.flatMap(({ subject, refusedAt }) => (refusedAt === undefined ? [] : [subject])),
    };
  }

  /** Explains why a live task waits, if its record does not say so, or is out of date. */
  waitingFor(state: ActorState): string | undefined {
    return this.#starter.waitingFor(state);
  }

  // The hooks of the task machine's behaviour.

  prepare(actor: LiveActor): void {
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
    if (live === "ready") this.#starter.admit(actor, this.#placeOf(actor));
    else if (live === "started" && actor.flight === undefined && task.agent !== undefined)
      this.flights.occupy(actor, this.#driverOf(actor), task.agent, task.attempt);
    else if (live === "unserved") this.#starter.enqueue(actor, this.#placeOf(actor));
    else actor.queued?.queue.remove(actor);
  }

  perform(actor: LiveActor, { type, params }: Effect): void {
    if (type === "dispatch") {
      const { attempt, agent } = params as DispatchParams;
      if (actor.flight?.attempt !== attempt) return;
      actor.flight.sentAt = this.#context.clock.monotonic();
      this.#publish(actor, attempt, agent);
      if (agent === undefined) this.plainAgents.watch(actor, this.#driverOf(actor));
    } else if (type === "abort") {
      const { attempt, agent, reason } = params as AbortParams;
      if (agent !== undefined && attempt > 0) this.aborts.tell(agent, actor.id, attempt, reason);
    }
  }

  stored(actor: LiveActor, ended: boolean): void {
    this.#listeners.stored(actor, ended);
  }

  restored(actor: LiveActor): void {
    const state = this.#host.wake(actor);
    if (state.snapshot.status !== "active") return this.#listeners.untold(actor);
    const live = liveStateOf(state);
    const { attempt, agent } = taskOf(state);
    if (live === "held") return this.#listeners.held(actor);
    if (live === "ready" || live === "unserved") {
      this.prepare(actor);
      if (live !== liveStateOf(this.#host.wake(actor))) this.#host.commit(actor, () => undefined);
      return;
    }
    if (live !== "started" && live !== "offered" && live !== "cancelling") return;
    const now = this.#context.clock.monotonic();
    // A plain agent whose heartbeat the node has heard continues undisturbed. The node sends every other attempt again.
    const atWork = live === "started" && agent === undefined;
    const driver = this.#driverOf(actor);
    this.flights.launch(actor, driver, agent, attempt, atWork ? now : 0);
    const entry = agent === undefined ? undefined : this.agents.get(agent);
    if (entry !== undefined) this.flights.adopt(actor, driver, entry);
    if (live === "cancelling") {
      if (agent !== undefined) this.aborts.tell(agent, actor.id, attempt, "cancelled");
    } else if (!atWork) {
      if (actor.flight !== undefined) actor.flight.again = true;
      this.#publish(actor, attempt, agent);
      if (actor.flight !== undefined) actor.flight.sentAt = now;
      if (agent === undefined) this.flights.offered.add(actor);
    }
  }

  dropped(actor: LiveActor): void {
    if (actor.flight !== undefined) this.flights.land(actor, this.#driverOf(actor));
    actor.queued?.queue.remove(actor);
    this.#listeners.dropped(actor);
  }

  retentionMs(state: ActorState): number {
    return taskOption(taskOf(state), "retentionMs");
  }

  parks(state: ActorState): boolean {
    const live = liveStateOf(state);
    return (
      live === "delayed" || live === "backoff" || ((live === "ready" || live === "unserved") && this.#drivers.areLong)
    );
  }

  mayBeAnswered(actor: LiveActor, timer: Timer, { end }: Gap): boolean {
    const { state } = actor;
    if (state === undefined) return false;
    const { attemptAt = 0, readyAt = 0, updatedAt } = taskOf(state);
    switch (liveStateOf(state)) {
      case "ready":
      case "unserved":
        // No node could give the task to an agent, so the agents get the time to announce themselves.
        return readyAt < end && isQueueBound(timer);
      case "started":
      case "offered":
        return attemptAt < end;
      case "cancelling":
        return updatedAt < end;
      default:
        return false;
    }
  }

  causeOf(state: ActorState, timer: Timer): string | undefined {
    return isQueueBound(timer) ? this.#starter.lackOf(state) : undefined;
  }

  rolledBack(): void {
    // The steps of a task never throw.
  }

  lingers(actor: LiveActor): boolean {
    return this.#listeners.lingers(actor);
  }

  /** The attempt is over for this node, so its slot is free. */
  #land(actor: LiveActor): void {
    const driver = this.#driverOf(actor);
    if (this.flights.land(actor, driver) && driver.waiting > 0) queueMicrotask(() => this.pump(driver.name));
  }

  #loseAttempt(actor: LiveActor, reason: string): void {
    const { flight } = actor;
    if (flight === undefined) return;
    if (!this.#host.send(actor, { type: "lost", attempt: flight.attempt, reason })) this.#land(actor);
  }

  #publish(actor: LiveActor, attempt: number, agent: string | undefined): void {
    this.flights.dispatch(actor, this.#driverOf(actor), taskOf(this.#host.wake(actor)), attempt, agent);
  }

  #waiting(view: AgentView): number {
    return view.drivers.reduce((sum, { name }) => sum + this.#drivers.waiting(name), 0);
  }

  /** Finds the place in which the task waits for its turn. */
  #placeOf(actor: LiveActor): Place {
    return this.#driverOf(actor).any;
  }

  #driverOf(actor: LiveActor): Driver {
    return this.#drivers.get(taskOf(this.#host.wake(actor)).driver);
  }
}

/** Tells whether a timer bounds a task's wait for an agent. */
function isQueueBound({ id }: Timer): boolean {
  return id.includes(".queue.");
}
