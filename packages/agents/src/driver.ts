import { requireName, InvalidError } from "@ergon/core";

import { Capacity } from "./capacity.ts";
import { compose } from "./middleware.ts";
import type { Handler, Middleware } from "./middleware.ts";

/** A kind of work that an agent does. */
export interface DriverDefinition {
  /** The driver's name: 1 to 64 letters, digits, `_` or `-`. */
  readonly driver: string;
  readonly handler: Handler;
  /** Attempts that run at once, 1 to 100,000. @defaultValue 10 */
  readonly concurrency?: number | undefined;
  /** Around this driver's handler, inside the agent's own. The last is the outermost. @defaultValue none */
  readonly middleware?: readonly Middleware[] | undefined;
  /**
   * Who sends the heartbeats that a task asks for: the handler, by `attempt.heartbeat()`, so that one that hangs is noticed;
   * or the agent, so that only the agent's own death is. @defaultValue "handler"
   */
  readonly heartbeats?: "handler" | "agent" | undefined;
  /** Frees what the driver holds; called once, when its agent has stopped. */
  readonly close?: (() => Promise<void>) | undefined;
}

/** A driver as its agent runs it. */
export interface Lane {
  readonly driver: string;
  readonly handle: Handler;
  readonly beatsByItself: boolean;
  readonly capacity: Capacity;
  readonly close: (() => Promise<void>) | undefined;
}

const DEFAULT_CONCURRENCY = 10;
const MAX_CONCURRENCY = 100_000;

/** Checks drivers and builds each a chain of its own. Throws `InvalidError` (`INVALID_DRIVER`, `INVALID_OPTION`). */
export function createLanes(
  drivers: readonly DriverDefinition[],
  middleware: readonly Middleware[],
): ReadonlyMap<string, Lane> {
  const lanes = new Map<string, Lane>();
  for (const definition of drivers) {
    const driver = requireName("driver", definition.driver);
    if (typeof definition.handler !== "function")
      throw new InvalidError("INVALID_OPTION", `handler of driver "${driver}" must be a function`);
    if (lanes.has(driver))
      throw new InvalidError("INVALID_DRIVER", `driver "${driver}" is given twice; one agent serves it once`);
    lanes.set(driver, {
      driver,
      handle: compose(definition.handler, [...(definition.middleware ?? []), ...middleware]),
      beatsByItself: definition.heartbeats === "agent",
      capacity: new Capacity(requireConcurrency(driver, definition.concurrency ?? DEFAULT_CONCURRENCY)),
      close: definition.close,
    });
  }
  if (lanes.size === 0) throw new InvalidError("INVALID_OPTION", "an agent needs at least one driver");
  return lanes;
}

function requireConcurrency(driver: string, concurrency: number): number {
  if (Number.isSafeInteger(concurrency) && concurrency >= 1 && concurrency <= MAX_CONCURRENCY) return concurrency;
  throw new InvalidError(
    "INVALID_OPTION",
    `concurrency of driver "${driver}" must be a whole number from 1 to ${MAX_CONCURRENCY}, not ${concurrency}`,
  );
}
