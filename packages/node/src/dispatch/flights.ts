import type { TaskContext } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { Flight, LiveActor } from "../shard/actor.ts";
import type { AgentEntry, AgentsTable } from "./agents-table.ts";
import type { Credits } from "./credits.ts";
import { dispatchHeaders } from "./dispatch-message.ts";
import type { Driver } from "./drivers.ts";

/** The attempts that are out, the slots that they take, and what is said to their agents. */
export class Flights {
  /** Tasks with an attempt out. */
  readonly out: Set<LiveActor> = new Set();
  /** The attempts among them that went to a plain subject and are not heard of yet, oldest first. */
  readonly offered: Set<LiveActor> = new Set();
  readonly #context: NodeContext;
  readonly #agents: AgentsTable;
  readonly #credits: Credits;

  constructor(context: NodeContext, agents: AgentsTable, credits: Credits) {
    this.#context = context;
    this.#agents = agents;
    this.#credits = credits;
  }

  /** `agent` is `undefined` for whoever serves the driver's subject; `sentAt` is 0 until the attempt is sent. */
  launch(actor: LiveActor, driver: Driver, agent: string | undefined, attempt: number, sentAt: number): void {
    const launchedAt = this.#context.clock.monotonic();
    const unknown = { heardAt: 0, again: false, bounced: false, answered: false, progress: undefined };
    actor.flight = { agent, attempt, launchedAt, sentAt, ...unknown };
    this.out.add(actor);
    driver.inFlight++;
  }

  /** Launches the attempt on a slot of the agent that was picked for it. */
  occupy(actor: LiveActor, driver: Driver, agent: string, attempt: number): void {
    this.launch(actor, driver, agent, attempt, 0);
    const entry = this.#agents.get(agent);
    const credit = entry?.credits.get(driver.name);
    if (entry === undefined || credit === undefined) return;
    this.#credits.use(credit);
    entry.flights.add(actor);
  }

  /** An attempt that came with its shard takes a slot of an agent that is known now. */
  adopt(actor: LiveActor, driver: Driver, entry: AgentEntry): void {
    entry.flights.add(actor);
    const credit = entry.credits.get(driver.name);
    if (credit !== undefined) this.#credits.adopt(credit);
  }

  /** Its agent has said how far the attempt is. */
  progressed({ flight }: LiveActor, progress: unknown): void {
    if (flight !== undefined) flight.progress = progress;
  }

  /** Its agent has said how the attempt ended; `isOver`: with it, the agent's slot is free. */
  answered(flight: Flight, isOver: boolean): void {
    flight.answered = isOver;
  }

  /** The attempt is over, for this node: its slot is free if its agent has said so. Answers whether there was one. */
  land(actor: LiveActor, driver: Driver): boolean {
    const { flight } = actor;
    if (flight === undefined) return false;
    actor.flight = undefined;
    this.out.delete(actor);
    this.offered.delete(actor);
    driver.inFlight--;
    const entry = flight.agent === undefined ? undefined : this.#agents.get(flight.agent);
    if (entry?.flights.delete(actor) === true) {
      const credit = entry.credits.get(driver.name);
      if (credit !== undefined && flight.answered) this.#credits.free(credit);
      else if (credit !== undefined) this.#credits.forfeit(credit);
    }
    return true;
  }

  /** Sends an attempt to its agent, or to the driver's subject. Sent once more, it is known by its number, and never run twice. */
  dispatch(actor: LiveActor, driver: Driver, task: TaskContext, attempt: number, agent: string | undefined): void {
    const { ports, names, node, clock } = this.#context;
    const subject = agent === undefined ? driver.subject : names.agent(task.driver, agent);
    const isAgain = agent !== undefined && actor.flight?.again === true;
    const headers = dispatchHeaders(task, attempt, { now: clock.now(), node, isAgain });
    ports.bus.publish(subject, task.payload, { headers, reply: names.reply(actor.shard.number, actor.id, attempt) });
  }
}
