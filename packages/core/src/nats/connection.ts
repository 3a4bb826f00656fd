import { randomBytes } from "node:crypto";

import type { NatsConnection } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import type { NodeConnectionOptions } from "@nats-io/transport-node";

import { createSystemClock, delay } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { isErgonError, messageOf } from "../base/errors.ts";
import { silentLogger } from "../base/logger.ts";
import type { Logger } from "../base/logger.ts";
import type { BusStatus } from "../ports/bus.ts";
import { createApi } from "./api.ts";
import { checkTls, readAuthenticator } from "./credentials.ts";
import { connectFailure, deniedSubject, isWorthRetrying, unreachable } from "./errors.ts";
import type { NatsLink } from "./link.ts";
import { checkInsides } from "./message.ts";
import type { NatsOptions } from "./options.ts";
import { coalesceWrites } from "./outbound.ts";
import { chooseServer, dropSocket } from "./placement.ts";
import type { Placement } from "./placement.ts";
import { Replies } from "./replies.ts";
import { requireVersion } from "./server-check.ts";
import { readServers } from "./servers.ts";
import type { ServerAddress } from "./servers.ts";

export interface NatsSurroundings {
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** The time between reconnects, 250 to 750 ms. The spread keeps a thousand agents from reconnecting at the same moment. */
const RECONNECT = { reconnectTimeWait: 250, reconnectJitter: 500, reconnectJitterTLS: 500 } as const;
const CONNECT_TIMEOUT_MS = 5_000;
/** A ping interval that detects a silent server within three intervals, which is before a node's session (6 s) ends. */
const PING_MS = 1_500;
const PINGS_WITHOUT_ANSWER = 2;
const RETRY_MS = 250;
/** The most refused subjects that are named. Each is named once. */
const MOST_TOLD = 100;

/**
 * Connects, checks that the server is new enough, and then keeps the connection through absences of the server of any length. It sends no request to
 * JetStream, because clients and agents need no permission for it. Throws `NATS_UNREACHABLE`, `NOT_PERMITTED`, `SERVER_UNSUITABLE` or
 * `INVALID_OPTION`; no text holds a secret.
 */
export async function connectNats(options: NatsOptions = {}, surroundings: NatsSurroundings = {}): Promise<NatsLink> {
  checkInsides();
  const { clock = createSystemClock(), logger = silentLogger } = surroundings;
  const servers = readServers(options.servers ?? "nats://127.0.0.1:4222");
  const where = servers.map((server) => server.where).join(", ");
  const settings = await readSettings(options, servers);
  const end = clock.monotonic() + (options.waitMs ?? 0);

  for (;;) {
    try {
      const connection = await connect(settings);
      const link = createLink(connection, options.inboxPrefix ?? "_INBOX", clock, logger);
      try {
        requireVersion(connection.info?.version);
        return link;
      } catch (error) {
        await link.close();
        throw error;
      }
    } catch (error) {
      const failure = isErgonError(error) ? error : connectFailure(error, where);
      if (!isWorthRetrying(failure) || clock.monotonic() >= end) throw failure;
      logger.debug({ servers: where }, "NATS is unreachable; trying again");
      await delay(clock, RETRY_MS);
    }
  }
}

function createLink(connection: NatsConnection, inboxPrefix: string, clock: Clock, logger: Logger): NatsLink {
  coalesceWrites(connection);
  const unique = newSecret();
  const replies = new Replies(connection, clock, `${inboxPrefix}.${unique}`);
  const requests = new Replies(connection, clock, `${inboxPrefix}.${newSecret()}`);
  const handlers: ((status: BusStatus) => void)[] = [];
  const refusalHandlers: ((subject: string) => void)[] = [];
  const told = new Set<string>();
  let status: BusStatus = "connected";
  let inboxes = 0;
  let closing: Promise<void> | undefined;

  const movedHandlers: (() => void)[] = [];
  const placement: Placement = {
    get server() {
      return status === "connected" ? connection.info?.server_name : undefined;
    },
    get servers() {
      return Math.max(1, connection.info?.connect_urls?.length ?? 1);
    },
    move: () => void connection.reconnect(),
    onChange: (handler) => movedHandlers.push(handler),
  };

  const become = (next: BusStatus): void => {
    if (status === next || status === "closed") return;
    status = next;
    // The permissions may have changed during the disconnect.
    told.clear();
    if (next !== "connected") for (const waiting of [replies, requests]) waiting.failAll(next);
    for (const handler of handlers) handler(next);
  };
  void followStatus(connection, {
    become,
    isSilent: () => {
      logger.warn({ server: connection.info?.server_name }, "the NATS server does not answer pings; reconnecting");
      dropSocket(connection);
    },
    hasMoved: () => {
      for (const handler of movedHandlers) handler();
    },
    report: (error) => {
      const denied = deniedSubject(error);
      if (denied?.operation !== "publish") return logger.warn({ error: messageOf(error) }, "NATS reported an error");
      const { subject } = denied;
      if (!told.has(subject) && told.size < MOST_TOLD) {
        told.add(subject);
        logger.warn({ subject }, "the NATS user may not publish to this subject; the server drops every message to it");
      }
      for (const waiting of [replies, requests]) waiting.failAll("not-permitted", subject);
      for (const handler of refusalHandlers) handler(subject);
    },
  });
  void connection.closed().then(() => become("closed"));

  const close = async (how: () => Promise<void>): Promise<void> => {
    closing ??= how().catch(() => connection.close());
    await closing;
    become("closed");
  };
  return {
    connection,
    clock,
    logger,
    replies,
    requests,
    api: createApi(replies, clock),
    get status() {
      return status;
    },
    placement,
    onStatus: (handler) => handlers.push(handler),
    onRefused: (handler) => refusalHandlers.push(handler),
    newInbox: () => `${inboxPrefix}.${unique}x${++inboxes}`,
    drain: () => close(() => (status === "connected" ? connection.drain() : Promise.reject(unreachable()))),
    close: () => close(() => connection.close()),
  };
}

/** Makes unique names. The names of nats.js count up from one to the next. */
function newSecret(): string {
  return randomBytes(16).toString("base64url");
}

interface StatusEvents {
  become(status: BusStatus): void;
  /** The server has not answered the pings. */
  isSilent(): void;
  /** The connection is at a server, perhaps a new one, or the list of servers has changed. */
  hasMoved(): void;
  report(error: Error): void;
}

async function followStatus(connection: NatsConnection, events: StatusEvents): Promise<void> {
  for await (const event of connection.status()) {
    if (event.type === "disconnect") events.become("disconnected");
    else if (event.type === "close") events.become("closed");
    else if (event.type === "staleConnection") events.isSilent();
    else if (event.type === "error") events.report(event.error);
    else if (event.type === "update") events.hasMoved();
    else if (event.type === "reconnect") {
      events.become("connected");
      events.hasMoved();
    }
  }
}

async function readSettings(options: NatsOptions, servers: readonly ServerAddress[]): Promise<NodeConnectionOptions> {
  const authenticator = await readAuthenticator(
    options,
    servers.find(({ user }) => user !== undefined),
  );
  if (options.tls !== undefined) await checkTls(options.tls);
  const wantsTls = options.tls !== undefined || servers.some((server) => server.url.startsWith("tls:"));
  return {
    servers: servers.map((server) => server.url),
    name: options.name ?? "ergon",
    timeout: CONNECT_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    ...RECONNECT,
    // A server's credentials may be renewed during a disconnect, so an authentication error does not end the reconnects.
    ignoreAuthErrorAbort: true,
    reconnectToServer: chooseServer,
    pingInterval: options.pingMs ?? PING_MS,
    maxPingOut: PINGS_WITHOUT_ANSWER,
    noAsyncTraces: true,
    ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(wantsTls ? { tls: { ...options.tls } } : {}),
  };
}
