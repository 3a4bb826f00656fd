import type { NatsConnection } from "@nats-io/nats-core";

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { BusStatus } from "../ports/bus.ts";
import type { Api } from "./api.ts";
import type { Placement } from "./placement.ts";
import type { Replies } from "./replies.ts";

/** A connection and what all adapters on it share. */
export interface NatsLink {
  readonly connection: NatsConnection;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The inbox for JetStream's answers. */
  readonly replies: Replies;
  /** The inbox for all other answers. Other processes see it, and must not be able to guess from it the inbox for acknowledgements: they could forge one. */
  readonly requests: Replies;
  readonly api: Api;
  readonly status: BusStatus;
  readonly placement: Placement;
  onStatus(handler: (status: BusStatus) => void): void;
  /** Calls `handler` with the subject of each message that the server refuses to take. */
  onRefused(handler: (subject: string) => void): void;
  /** A subject of our own that nobody else listens to. */
  newInbox(): string;
  /** Sends what is waiting, lets handlers finish what has come in, then closes. Idempotent. */
  drain(): Promise<void>;
  /** Closes at once. Idempotent. */
  close(): Promise<void>;
}
