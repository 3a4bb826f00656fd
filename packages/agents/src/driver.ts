import { InvalidError } from "@ergon/core";
import { requireName } from "@ergon/core/engine";

import { Capacity } from "./capacity.ts";
import { compose } from "./middleware.ts";
import type { Handler, Middleware } from "./middleware.ts";

/** A kind of work that an agent does. */
export interface DriverDefinition {
  /** The driver's name: 1 to 64 letters, digits, `_` or `-`. */
  readonly driver: string;
  readonly handler: Handler;
  /** The most attempts that run at once, 1 to 100,000. @defaultValue 10 */
  readonly concurrency?: number | undefined;
  /** Middleware around this driver's handler, inside that of the agent. The last one is the outermost. @defaultValue none */
  readonly middleware?: readonly Middleware[] | undefined;
  /**
   * The sender of the heartbeats that a task asks for. `handler`: the handler calls `attempt.heartbeat()`, so the node notices a handler that
   * hangs. `agent`: the agent sends them, so the node notices only the death of the agent. @defaultValue "handler"
   */
  readonly heartbeats?: "handler" | "agent" | undefined;
  /** Frees the driver's resources; called once, when its agent has stopped. */
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

/** Checks drivers, and builds a separate chain for each. Throws `InvalidError` (`INVALID_DRIVER`, `INVALID_OPTION`). */
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
      throw new InvalidError("INVALID_DRIVER", `driver "${driver}" is given twice; give each driver of an agent once`);
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
