import { SECOND, type NatsOptions } from "@ergon/core";

import type { ResolvedNodeOptions } from "../options.ts";

/** The time for which a service waits for NATS, because services may start before it. */
export const NATS_WAIT_MS: number = 30 * SECOND;

/** Reads the connection of a service, which waits for a NATS server that has not started yet, unless the settings say otherwise. */
export function serviceNats({ nats }: ResolvedNodeOptions): NatsOptions {
  return { waitMs: NATS_WAIT_MS, ...nats };
}
