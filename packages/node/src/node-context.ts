import type { Clock, Logger, Random } from "@ergon/core";
import type { Names, Ports } from "@ergon/core/engine";

import type { ServerTime } from "./server-time.ts";

/** The context that every part of a node uses. */
export interface NodeContext {
  /** The id of the node, unique for each start of the process. The node's session has the same name. */
  readonly node: string;
  readonly names: Names;
  readonly ports: Ports;
  /** Shows the NATS server's time. */
  readonly clock: Clock;
  readonly serverTime: ServerTime;
  readonly random: Random;
  readonly logger: Logger;
}

export const NO_BYTES: Uint8Array = new Uint8Array();
