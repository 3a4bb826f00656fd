import type { Clock, Logger, Names, Ports, Random } from "@ergon/core";

/** What every part of a node works with. */
export interface NodeContext {
  /** Node id: unique per start of the process, and the name of its session. */
  readonly node: string;
  readonly names: Names;
  readonly ports: Ports;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export const NO_BYTES: Uint8Array = new Uint8Array();
