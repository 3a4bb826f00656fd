import type { NatsConnection } from "@nats-io/nats-core";

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { BusStatus } from "../ports/bus.ts";
import type { Api } from "./api.ts";
import type { Placement } from "./placement.ts";
import type { Replies } from "./replies.ts";

/** A connection, and the parts that all adapters on it share. */
export interface NatsLink {
  readonly connection: NatsConnection;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The inbox for JetStream's answers. */
  readonly replies: Replies;
  /**
   * The inbox for all other answers. Other processes see it, and must not be able to guess the inbox for acknowledgements from it, because they could
   * forge an acknowledgement.
   */
  readonly requests: Replies;
  readonly api: Api;
  readonly status: BusStatus;
  readonly placement: Placement;
  onStatus(handler: (status: BusStatus) => void): void;
  /** Calls `handler` with the subject of each message that the server refuses. */
  onRefused(handler: (subject: string) => void): void;
  /** Returns a subject that only this process uses. */
  newInbox(): string;
  /** Sends the waiting messages, lets handlers finish the received ones, and then closes. Idempotent. */
  drain(): Promise<void>;
  /** Closes at once. Idempotent. */
  close(): Promise<void>;
}
