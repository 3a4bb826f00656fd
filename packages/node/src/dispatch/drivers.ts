import type { Names } from "@ergon/core";

import type { DriverOptions } from "../options.ts";
import type { Waits } from "./credit-desk.ts";
import { DriverQueue } from "./driver-queue.ts";

/** Unpacking a task costs some ten microseconds when its turn comes: tasks that wait a moment only are not packed. */
const MOST_UNPACKED = 5_000;

/** What this node knows of a driver, and which of its tasks wait. */
export interface Driver {
  readonly name: string;
  readonly subject: string;
  /** Most attempts out at a time, where the node was told. */
  readonly limit: number | undefined;
  readonly queue: DriverQueue;
  /** Whether anybody serves the plain subject: told by the server's 503, or the lack of one. */
  served: "unknown" | "yes" | "no";
  /** When the server last refused what this node sent to the subject (monotonic); `undefined`: never, or it no longer does. */
  refusedAt: number | undefined;
  /** Attempts out. */
  inFlight: number;
}

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
      driver = {
        name,
        subject: subject ?? this.#names.plainAgent(name),
        limit,
        queue: new DriverQueue(this.#queued),
        served: "unknown",
        refusedAt: undefined,
        inFlight: 0,
      };
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
    return this.#drivers.get(name)?.queue.size ?? 0;
  }

  /** How many of them could go out, and the highest of their priorities. */
  waits(name: string): Waits {
    const driver = this.#drivers.get(name);
    if (driver === undefined) return { count: 0, priority: 0 };
    return { count: Math.max(0, Math.min(driver.queue.size, room(driver))), priority: driver.queue.priority };
  }

  /** Its turn is after all others'. */
  putLast(driver: Driver): void {
    if (this.#drivers.delete(driver.name)) this.#drivers.set(driver.name, driver);
  }

  /** Whoever may submit names drivers: what nobody is known to serve, and nothing waits for, takes no room. */
  forgetIfIdle({ name, inFlight, queue, served }: Driver): void {
    if (inFlight === 0 && queue.size === 0 && served !== "yes") this.#drivers.delete(name);
  }
}

/** Why this node cannot reach the driver's plain agents, where it is not that there are none. */
export function refusalOf({ subject, refusedAt }: Driver): string | undefined {
  return refusedAt === undefined ? undefined : `this node's NATS user may not publish to ${subject}`;
}

/** How many more attempts the node may have out with the driver's agents. */
export function room({ limit, inFlight }: Driver): number {
  return limit === undefined ? Number.POSITIVE_INFINITY : limit - inFlight;
}
