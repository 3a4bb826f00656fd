import type { DriverDefinition } from "../driver.ts";
import type { SimpleDriverOptions } from "./echo.ts";

/** Succeeds at once, with an empty response and without any effect. */
export function noop(options: SimpleDriverOptions = {}): DriverDefinition {
  return { driver: options.driver ?? "noop", concurrency: options.concurrency ?? 1_000, handler: () => undefined };
}
