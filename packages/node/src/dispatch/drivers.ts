import type { Names } from "@ergon/core/engine";

import type { DriverOptions } from "../options.ts";
import type { Waits } from "./credits.ts";
import { DriverQueue } from "./driver-queue.ts";

/** Unpacking a task costs some ten microseconds when its turn comes: tasks that wait a moment only are not packed. */
const MOST_UNPACKED = 5_000;
/** Most attempts out to a subject whose plain agents announce no capacity, where the node was told no limit. */
const PLAIN_LIMIT = 256;

/** Where tasks wait for their turn: for any agent of a driver, or for one agent of it. Each place has its own queue, so none holds up another. */
export interface Place {
  readonly driver: Driver;
  /** `undefined`: any agent will do. */
  readonly agent: string | undefined;
  readonly queue: DriverQueue;
}

/** A driver as this node knows it, and the tasks that wait for it here. */
export class Driver {
  readonly name: string;
  readonly subject: string;
  /** Most attempts out at a time, where the node was told. */
  readonly limit: number | undefined;
  /** Where tasks wait that any agent may take. */
  readonly any: Place;
  /** Whether anybody serves the plain subject: told by the server's 503, or the lack of one. */
  served: "unknown" | "yes" | "no" = "unknown";
  /** When the server last refused what this node sent to the subject (monotonic); `undefined`: never, or it no longer does. */
  refusedAt: number | undefined;
  /** Attempts out. */
  inFlight = 0;
  readonly #queued: { waiting: number };
  readonly #byAgent = new Map<string, Place>();
  readonly #anyOnly: readonly Place[];

  constructor(name: string, subject: string, limit: number | undefined, queued: { waiting: number }) {
    this.name = name;
    this.subject = subject;
    this.limit = limit;
    this.#queued = queued;
    this.any = this.#open(undefined);
    this.#anyOnly = [this.any];
  }

  /** Where tasks wait for the agent, or for any. */
  place(agent?: string): Place {
    if (agent === undefined) return this.any;
    let place = this.#byAgent.get(agent);
    if (place === undefined) this.#byAgent.set(agent, (place = this.#open(agent)));
    return place;
  }

  /** The places in which tasks wait, those for one agent first. One in which none waits any more is forgotten. */
  waitedIn(): readonly Place[] {
    if (this.#byAgent.size === 0) return this.any.queue.size === 0 ? NOWHERE : this.#anyOnly;
    for (const [agent, { queue }] of this.#byAgent) if (queue.size === 0) this.#byAgent.delete(agent);
    const places = [...this.#byAgent.values()];
    return this.any.queue.size === 0 ? places : [...places, this.any];
  }

  /** Tasks that wait, in whichever place. */
  get waiting(): number {
    let waiting = this.any.queue.size;
    for (const { queue } of this.#byAgent.values()) waiting += queue.size;
    return waiting;
  }

  /**
   * How many more attempts the node may begin now: with agents that announce what they can take, or on the subject of plain agents, which
   * announce nothing. Every bound that the node itself sets is applied here, and nowhere else.
   */
  attemptsLeft(to: "agents" | "subject"): number {
    // Until it is known that somebody serves the subject, one task finds out for all.
    if (to === "subject") return (this.served === "yes" ? (this.limit ?? PLAIN_LIMIT) : 1) - this.inFlight;
    return this.limit === undefined ? Number.POSITIVE_INFINITY : this.limit - this.inFlight;
  }

  #open(agent: string | undefined): Place {
    return { driver: this, agent, queue: new DriverQueue(this.#queued) };
  }
}

const NOWHERE: readonly Place[] = [];

/** The drivers whose tasks this node has had lately. */
export class Drivers {
  readonly #drivers = new Map<string, Driver>();
  readonly #queued = { waiting: 0 };
  readonly #names: Names;
  readonly #options: Readonly<Record<string, DriverOptions>>;

  constructor(names: Names, options: Readonly<Record<string, DriverOptions>>) {
    this.#names = names;
    this.#options = options;
  }

  /** The subjects that the node was told, by driver. */
  get subjects(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      Object.entries(this.#options).flatMap(([name, { subject }]) => (subject === undefined ? [] : [[name, subject]])),
    );
  }

  all(): IterableIterator<Driver> {
    return this.#drivers.values();
  }

  get(name: string): Driver {
    let driver = this.#drivers.get(name);
    if (driver === undefined) {
      const { subject, limit } = this.#options[name] ?? {};
      driver = new Driver(name, subject ?? this.#names.plainAgent(name), limit, this.#queued);
      this.#drivers.set(name, driver);
    }
    return driver;
  }

  /** Whether so many tasks wait here that they are kept as the bytes of their records. */
  get areLong(): boolean {
    return this.#queued.waiting > MOST_UNPACKED;
  }

  /** Tasks of the driver that wait here. */
  waiting(name: string): number {
    return this.#drivers.get(name)?.waiting ?? 0;
  }

  /** How many of them could go out to an agent, and the highest of their priorities; `agent` absent: to any. */
  waits(name: string, agent?: string): Waits {
    const driver = this.#drivers.get(name);
    let count = 0;
    let priority = 0;
    for (const place of driver?.waitedIn() ?? []) {
      if (place.agent !== undefined && place.agent !== agent) continue;
      count += place.queue.size;
      priority = Math.max(priority, place.queue.priority);
    }
    return { count: Math.max(0, Math.min(count, driver?.attemptsLeft("agents") ?? 0)), priority };
  }

  /** Its turn is after all others'. */
  putLast(driver: Driver): void {
    if (this.#drivers.delete(driver.name)) this.#drivers.set(driver.name, driver);
  }

  /** Forgets a driver that no agent is known to serve and no task waits for, otherwise made-up names of clients would fill the memory. */
  forgetIfIdle({ name, inFlight, waiting, served }: Driver): void {
    if (inFlight === 0 && waiting === 0 && served !== "yes") this.#drivers.delete(name);
  }
}

/** Why this node cannot reach the driver's plain agents, where it is not that there are none. */
export function refusalOf({ subject, refusedAt }: Driver): string | undefined {
  return refusedAt === undefined ? undefined : `this node's NATS user may not publish to ${subject}`;
}
