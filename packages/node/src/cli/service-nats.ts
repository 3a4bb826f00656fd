import { SECOND, type NatsOptions } from "@ergon/core";

import type { ResolvedNodeOptions } from "../options.ts";

/** Services start before or after NATS, as they come. */
export const NATS_WAIT_MS: number = 30 * SECOND;

/** The connection of a service: unless told otherwise it waits for a NATS that is not there yet. */
export function serviceNats({ nats }: ResolvedNodeOptions): NatsOptions {
  return { waitMs: NATS_WAIT_MS, ...nats };
}
