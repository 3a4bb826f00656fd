import { taskOption, liveStateOf, taskOf, type ActorState, type TaskSpec } from "@ergon/core/engine";

import type { LiveActor } from "../shard/actor.ts";
import type { Stepping } from "../shard/hosting.ts";
import type { AgentsTable } from "./agents-table.ts";
import type { Credits } from "./credits.ts";
import { refusalOf, type Driver, type Drivers, type Place } from "./drivers.ts";
import type { Flights } from "./flights.ts";
import type { PlainAgents } from "./plain-agents.ts";

export interface StarterParts {
  readonly drivers: Drivers;
  readonly agents: AgentsTable;
  readonly credits: Credits;
  readonly flights: Flights;
  readonly plainAgents: PlainAgents;
  readonly host: Stepping;
}

/** Matches waiting tasks with free slots. */
export class Starter {
  readonly #parts: StarterParts;

  constructor(parts: StarterParts) {
    this.#parts = parts;
  }

  /** Starts the tasks that wait for the driver, as far as there are slots, and asks for the missing slots. */
  pump(driver: Driver): void {
    let open = driver.waitedIn();
    for (let place = mostUrgent(open); place !== undefined; place = mostUrgent(open)) {
      const actor = place.queue.peek();
      // If the first task of a place cannot start, it holds up the tasks behind it, and no other place.
      if (actor === undefined || !this.#start(actor, place)) open = open.filter((other) => other !== place);
      else this.#parts.host.commit(actor, () => undefined);
    }
    this.#ask(driver);
  }

  /** A task is ready, so it starts or waits for its turn. The caller commits. */
  admit(actor: LiveActor, place: Place): void {
    const { agents, host } = this.#parts;
    const { driver } = place;
    if (actor.queued !== undefined) return;
    if (place.queue.size === 0 && this.#start(actor, place)) return;
    if (driver.served === "no" && agents.credits(driver.name).length === 0)
      host.transition(actor, { type: "unserved", reason: refusalOf(driver) });
    this.enqueue(actor, place);
    this.#ask(driver);
  }

  enqueue(actor: LiveActor, { queue }: Place): void {
    if (actor.state === undefined) return;
    const task = taskOf(actor.state);
    queue.add(actor, taskOption(task, "priority"), task.failures + task.lost > 0);
  }

  /** Finds an agent that a new task may start with at once. Such an agent has a free slot, and no other task waits for it. */
  agentFor(spec: TaskSpec): string | undefined {
    const { drivers, credits } = this.#parts;
    const { driver, queue, agent } = drivers.get(spec.driver).any;
    return queue.size > 0 || driver.attemptsLeft("agents") <= 0
      ? undefined
      : credits.pick(spec.driver, agent)?.agent.id;
  }

  /** Explains why a live task waits, if its record does not say so, or is out of date. */
  waitingFor(state: ActorState): string | undefined {
    const live = liveStateOf(state);
    const { driver, reason } = taskOf(state);
    const agents = this.#parts.agents.credits(driver).length;
    const isOutdated = live === "unserved" && agents > 0;
    if (!isOutdated && (live !== "ready" || reason !== undefined)) return undefined;
    if (this.#isFull(driver)) return `waiting for an attempt to end: this node's limit for driver ${driver} is reached`;
    if (agents > 0) return `waiting for a free slot of ${agents} agent${agents === 1 ? "" : "s"} of driver ${driver}`;
    return this.#absence(driver) ?? `waiting for the subject of driver ${driver}`;
  }

  /** Explains why a task that waits for an agent has got none, or returns `undefined` if its record says all that the node knows. */
  lackOf(state: ActorState): string | undefined {
    const { driver } = taskOf(state);
    if (this.#isFull(driver)) return `this node's limit for driver ${driver} was reached`;
    return this.#parts.agents.credits(driver).length > 0
      ? `no agent of driver ${driver} had a free slot`
      : this.#absence(driver);
  }

  /** Tells whether this node itself begins no further attempt of the driver, whatever agents there are. */
  #isFull(driver: string): boolean {
    return this.#parts.drivers.get(driver).attemptsLeft("agents") <= 0;
  }

  /** Explains why the node can give work of an unannounced driver to nobody, or returns `undefined` if plain agents may serve it. */
  #absence(name: string): string | undefined {
    const driver = this.#parts.drivers.get(name);
    return refusalOf(driver) ?? (driver.served === "no" ? `no agent serves driver ${name}` : undefined);
  }

  /** Asks for the slots that waiting tasks lack. It asks any agent for the tasks that any may take, and one agent for the tasks that are its own. */
  #ask(driver: Driver): void {
    const { credits } = this.#parts;
    for (const { agent } of driver.waitedIn()) credits.ask(driver.name, { agent });
  }

  /** Begins an attempt if there is a slot. The caller commits. */
  #start(actor: LiveActor, { driver, agent, queue }: Place): boolean {
    const { credits, flights, plainAgents, host } = this.#parts;
    // The node has already sent an attempt that it retries, though its task stays in the queue until somebody has it.
    if (actor.flight !== undefined || driver.attemptsLeft("agents") <= 0) return false;
    const credit = credits.pick(driver.name, agent);
    // A task can wait only for the id of an agent that announces itself.
    if (credit === undefined) return agent === undefined && driver.served !== "no" && plainAgents.offer(actor, driver);
    const started = host.transition(actor, { type: "start", agent: credit.agent.id });
    // A queued task that can no longer start leaves the queue too.
    queue.remove(actor);
    if (started && actor.state !== undefined)
      flights.occupy(actor, driver, credit.agent.id, taskOf(actor.state).attempt);
    return started;
  }
}

/** Finds the place whose next task has the highest priority. Between equals it takes the first place, which fewer agents serve. */
function mostUrgent(places: readonly Place[]): Place | undefined {
  if (places.length < 2) return places[0];
  return places.reduce((first, place) => (place.queue.priority > first.queue.priority ? place : first));
}
