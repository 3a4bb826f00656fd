import { liveStateOf, taskOf } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { Flight, LiveActor } from "../shard/actor.ts";
import type { Stepping } from "../shard/hosting.ts";
import type { AgentsTable } from "./agents-table.ts";
import type { Driver, Drivers } from "./drivers.ts";
import type { Flights } from "./flights.ts";

/** The pause before the node tries a subject again that it may not publish to, because an operator may have granted the permission. */
const REFUSED_MS = 10_000;
/** The most offers in one look at unserved drivers, because each offer sends a payload, mostly to nobody. */
const MOST_DRIVERS = 64;
const MOST_BYTES = 262_144;

export interface PlainAgentsParts {
  readonly drivers: Drivers;
  readonly agents: AgentsTable;
  readonly flights: Flights;
  readonly host: Stepping;
  readonly pump: (driver: string) => void;
}

/** Offers tasks on their driver's subject to agents that announce nothing. The server reports it when nobody serves the subject (ADR-0010). */
export class PlainAgents {
  readonly #context: NodeContext;
  readonly #parts: PlainAgentsParts;
  #asking = false;

  constructor(context: NodeContext, parts: PlainAgentsParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Begins an attempt on the driver's subject, if the limits allow one. The caller commits. */
  offer(actor: LiveActor, driver: Driver): boolean {
    const { agents, flights, host } = this.#parts;
    if (agents.credits(driver.name).length > 0) return false;
    if (driver.attemptsLeft("subject") <= 0) return false;
    const taken = host.transition(actor, { type: "offer" });
    // A queued task that can no longer start leaves the queue too.
    driver.any.queue.remove(actor);
    if (taken) flights.launch(actor, driver, undefined, actor.state === undefined ? 0 : taskOf(actor.state).attempt, 0);
    return taken;
  }

  /** If the server has not refused the offer when it answers a later question, somebody serves the subject. */
  watch(actor: LiveActor, driver: Driver): void {
    const { offered } = this.#parts.flights;
    offered.add(actor);
    if (driver.served === "yes") return;
    void this.#flushed().then((flushed) => {
      if (flushed && offered.has(actor)) this.served(driver);
    });
  }

  /** A plain agent has shown itself, so the other tasks of the driver may go out. */
  served(driver: Driver): void {
    driver.refusedAt = undefined;
    if (driver.served === "yes") return;
    driver.served = "yes";
    this.#parts.pump(driver.name);
  }

  /**
   * Asks the server about the offers in flight. The server answers in order, so an offer that it has not refused when it answers this question has reached an
   * agent, however long the answer took. Only an agent's own answer shows the same.
   */
  async settleOffers(): Promise<void> {
    const { flights } = this.#parts;
    if (this.#asking || flights.offered.size === 0) return;
    this.#asking = true;
    const asked = [...flights.offered].map((actor) => ({ actor, flight: actor.flight }));
    const flushed = await this.#flushed();
    this.#asking = false;
    if (!flushed) return;
    for (const { actor, flight } of asked)
      if (flight !== undefined && actor.flight === flight && hears(actor)) this.#taken(actor, flight);
  }

  #taken(actor: LiveActor, { attempt }: Flight): void {
    const { drivers, flights, host } = this.#parts;
    if (!flights.offered.delete(actor) || actor.state === undefined) return;
    const driver = drivers.get(taskOf(actor.state).driver);
    driver.any.queue.remove(actor);
    host.advance(actor, { type: "taken", attempt });
    this.served(driver);
  }

  /**
   * Checks again whether somebody serves the drivers that nobody served. It tries some of them each time, in turn, and writes only if somebody does.
   */
  tryUnserved(): void {
    const { drivers, agents } = this.#parts;
    const tried: Driver[] = [];
    let bytes = 0;
    for (const driver of drivers.all()) {
      if (agents.credits(driver.name).length > 0) continue;
      drivers.forgetIfIdle(driver);
      if (driver.served !== "no" || this.#wasRefused(driver)) continue;
      const sent = this.#try(driver);
      if (sent === 0) continue;
      tried.push(driver);
      bytes += sent;
      if (tried.length === MOST_DRIVERS || bytes >= MOST_BYTES) break;
    }
    for (const driver of tried) drivers.putLast(driver);
  }

  #wasRefused({ refusedAt }: Driver): boolean {
    return refusedAt !== undefined && this.#context.clock.monotonic() - refusedAt < REFUSED_MS;
  }

  /** Returns the number of bytes that it sent. */
  #try(driver: Driver): number {
    const { host } = this.#parts;
    const actor = driver.any.queue.peek();
    if (actor === undefined) return 0;
    const state = host.wake(actor);
    const { attempt, payload } = taskOf(state);
    if (liveStateOf(state) === "unserved" && attempt > 0) this.#tryAgain(actor, driver, attempt);
    else if (this.offer(actor, driver)) host.commit(actor, () => undefined);
    return payload.length + 1;
  }

  #tryAgain(actor: LiveActor, driver: Driver, attempt: number): void {
    const { flights } = this.#parts;
    if (actor.flight !== undefined || actor.state === undefined) return;
    flights.launch(actor, driver, undefined, attempt, this.#context.clock.monotonic());
    flights.dispatch(actor, driver, taskOf(actor.state), attempt, undefined);
    flights.offered.add(actor);
  }

  /** Tells whether the server has answered everything before this moment. Without a connection the node cannot know it. */
  async #flushed(): Promise<boolean> {
    try {
      await this.#context.ports.bus.flush();
      return true;
    } catch {
      // The node logs the loss of the connection elsewhere.
      return false;
    }
  }
}

/** Tells whether the node takes the server's reports about an attempt. It does not while the shard is leaving. */
function hears({ shard }: LiveActor): boolean {
  return shard.phase === "serving" || shard.phase === "suspended";
}
