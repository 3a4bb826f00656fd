import type { TaskContext } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { Flight, LiveActor } from "../shard/actor.ts";
import type { AgentEntry, AgentsTable } from "./agents-table.ts";
import type { Credits } from "./credits.ts";
import { dispatchHeaders } from "./dispatch-message.ts";
import type { Driver } from "./drivers.ts";

/** The attempts in flight, the slots that they take, and the messages to their agents. */
export class Flights {
  /** The tasks with an attempt in flight. */
  readonly out: Set<LiveActor> = new Set();
  /** The tasks among them whose attempt went to a plain subject and got no answer yet, oldest first. */
  readonly offered: Set<LiveActor> = new Set();
  readonly #context: NodeContext;
  readonly #agents: AgentsTable;
  readonly #credits: Credits;

  constructor(context: NodeContext, agents: AgentsTable, credits: Credits) {
    this.#context = context;
    this.#agents = agents;
    this.#credits = credits;
  }

  /** `agent` is `undefined` if the attempt goes to the driver's subject. `sentAt` is 0 until the node sends the attempt. */
  launch(actor: LiveActor, driver: Driver, agent: string | undefined, attempt: number, sentAt: number): void {
    const launchedAt = this.#context.clock.monotonic();
    const unknown = { heardAt: 0, again: false, bounced: false, answered: false, progress: undefined };
    actor.flight = { agent, attempt, launchedAt, sentAt, ...unknown };
    this.out.add(actor);
    driver.inFlight++;
  }

  /** Launches the attempt on a slot of the picked agent. */
  occupy(actor: LiveActor, driver: Driver, agent: string, attempt: number): void {
    this.launch(actor, driver, agent, attempt, 0);
    const entry = this.#agents.get(agent);
    const credit = entry?.credits.get(driver.name);
    if (entry === undefined || credit === undefined) return;
    this.#credits.use(credit);
    entry.flights.add(actor);
  }

  /** An attempt that came with its shard takes a slot of its agent, which the node now knows. */
  adopt(actor: LiveActor, driver: Driver, entry: AgentEntry): void {
    entry.flights.add(actor);
    const credit = entry.credits.get(driver.name);
    if (credit !== undefined) this.#credits.adopt(credit);
  }

  /** Its agent has reported the progress of the attempt. */
  progressed({ flight }: LiveActor, progress: unknown): void {
    if (flight !== undefined) flight.progress = progress;
  }

  /** Its agent has reported the end of the attempt. `isOver` is true if this frees the agent's slot. */
  answered(flight: Flight, isOver: boolean): void {
    flight.answered = isOver;
  }

  /** The attempt is over for this node, and its slot is free if its agent has reported the end. Returns whether there was an attempt. */
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

  /** Sends an attempt to its agent, or to the driver's subject. An agent recognizes a repetition by its number, and never runs it twice. */
  dispatch(actor: LiveActor, driver: Driver, task: TaskContext, attempt: number, agent: string | undefined): void {
    const { ports, names, node, clock } = this.#context;
    const subject = agent === undefined ? driver.subject : names.agent(task.driver, agent);
    const isAgain = agent !== undefined && actor.flight?.again === true;
    const headers = dispatchHeaders(task, attempt, { now: clock.now(), node, isAgain });
    ports.bus.publish(subject, task.payload, { headers, reply: names.reply(actor.shard.number, actor.id, attempt) });
  }
}
