import type { Names } from "@ergon/core/engine";

import type { DriverOptions } from "../options.ts";
import type { Waits } from "./credits.ts";
import { DriverQueue } from "./driver-queue.ts";

/** The node unpacks a packed task when its turn comes, which costs some ten microseconds. So it does not pack tasks that wait only briefly. */
const MOST_UNPACKED = 5_000;
/** The most attempts in flight on a subject whose plain agents announce no capacity, if the options set no limit. */
const PLAIN_LIMIT = 256;

/** A place where tasks wait for any agent of a driver, or for one agent of it. Each place has its own queue, so that none holds up another. */
export interface Place {
  readonly driver: Driver;
  /** The agent, or `undefined` if any agent may take the tasks. */
  readonly agent: string | undefined;
  readonly queue: DriverQueue;
}

/** A driver as this node knows it, and the tasks that wait for it here. */
export class Driver {
  readonly name: string;
  readonly subject: string;
  /** The most attempts in flight, if the options set a limit. */
  readonly limit: number | undefined;
  /** The place of the tasks that any agent may take. */
  readonly any: Place;
  /** Tells whether somebody serves the plain subject. The node learns it from the server's 503, or from the lack of one. */
  served: "unknown" | "yes" | "no" = "unknown";
  /** The monotonic time at which the server last refused a message of this node to the subject, or `undefined` if it does not refuse them. */
  refusedAt: number | undefined;
  /** The number of attempts in flight. */
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

  /** Returns the place of the tasks for the agent, or of those for any agent. */
  place(agent?: string): Place {
    if (agent === undefined) return this.any;
    let place = this.#byAgent.get(agent);
    if (place === undefined) this.#byAgent.set(agent, (place = this.#open(agent)));
    return place;
  }

  /** Returns the places in which tasks wait, those for one agent first. It forgets empty places. */
  waitedIn(): readonly Place[] {
    if (this.#byAgent.size === 0) return this.any.queue.size === 0 ? NOWHERE : this.#anyOnly;
    for (const [agent, { queue }] of this.#byAgent) if (queue.size === 0) this.#byAgent.delete(agent);
    const places = [...this.#byAgent.values()];
    return this.any.queue.size === 0 ? places : [...places, this.any];
  }

  /** The number of tasks that wait in all places. */
  get waiting(): number {
    let waiting = this.any.queue.size;
    for (const { queue } of this.#byAgent.values()) waiting += queue.size;
    return waiting;
  }

  /**
   * Returns the number of attempts that the node may begin now, with agents that announce their capacity, or on the subject of plain agents, which announce
   * nothing. The node applies all its own limits here, and nowhere else.
   */
  attemptsLeft(to: "agents" | "subject"): number {
    // Until the node knows that somebody serves the subject, one task finds out for all.
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

  /** The subjects that the options set, by driver. */
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

  /** Tells whether so many tasks wait here that the node keeps them as the bytes of their records. */
  get areLong(): boolean {
    return this.#queued.waiting > MOST_UNPACKED;
  }

  /** Counts the tasks of the driver that wait here. */
  waiting(name: string): number {
    return this.#drivers.get(name)?.waiting ?? 0;
  }

  /** Returns the number of waiting tasks that could go out to `agent`, or to any agent if it is absent, and the highest of their priorities. */
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

  /** Moves the driver behind all others. */
  putLast(driver: Driver): void {
    if (this.#drivers.delete(driver.name)) this.#drivers.set(driver.name, driver);
  }

  /** Forgets a driver that no agent is known to serve and no task waits for, otherwise made-up names of clients would fill the memory. */
  forgetIfIdle({ name, inFlight, waiting, served }: Driver): void {
    if (inFlight === 0 && waiting === 0 && served !== "yes") this.#drivers.delete(name);
  }
}

/** Explains why this node cannot reach the driver's plain agents, unless there are none. */
export function refusalOf({ subject, refusedAt }: Driver): string | undefined {
  return refusedAt === undefined ? undefined : `this node's NATS user may not publish to ${subject}`;
}
