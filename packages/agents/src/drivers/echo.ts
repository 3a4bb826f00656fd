import type { DriverDefinition } from "../driver.ts";

export interface SimpleDriverOptions {
  /** The driver's name. @defaultValue the factory's own */
  readonly driver?: string | undefined;
  /** Attempts that run at once. @defaultValue 1,000 */
  readonly concurrency?: number | undefined;
}

/** Answers the payload, with its content type. */
export function echo(options: SimpleDriverOptions = {}): DriverDefinition {
  return {
    driver: options.driver ?? "echo",
    concurrency: options.concurrency ?? 1_000,
    handler: ({ payload, contentType }) => ({ data: payload, contentType }),
  };
}
