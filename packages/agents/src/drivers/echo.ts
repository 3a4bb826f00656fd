import type { DriverDefinition } from "../driver.ts";

export interface SimpleDriverOptions {
  /** The driver's name. @defaultValue the name of the function */
  readonly driver?: string | undefined;
  /** The most attempts that run at once. @defaultValue 1,000 */
  readonly concurrency?: number | undefined;
}

/** Returns the payload, with its content type. */
export function echo(options: SimpleDriverOptions = {}): DriverDefinition {
  return {
    driver: options.driver ?? "echo",
    concurrency: options.concurrency ?? 1_000,
    handler: ({ payload, contentType }) => ({ data: payload, contentType }),
  };
}
