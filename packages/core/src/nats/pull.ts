import type { Subscription } from "@nats-io/nats-core";

import type { TimerHandle } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Watch } from "../ports/store.ts";
import type { NatsLink } from "./connection.ts";
import { readPosition } from "./consumer.ts";
import { NatsMessage } from "./message.ts";

export interface PullOptions {
  readonly stream: string;
  /** The durable consumer's name; processes that pull by the same name share its messages. */
  readonly consumer: string;
  /** Creates the consumer, or finds it there. Called before every start. */
  prepare(): Promise<unknown>;
  /** Most messages that are in work here at once. */
  readonly room: number;
  /** Works on a message; it is acknowledged when this resolves. `deliveries` counts from 1. */
  work(message: NatsMessage): Promise<void>;
  /** How long until a message is delivered again, whose work has failed `failures` times. */
  pauseMs(failures: number): number;
}

const NANOS_PER_MS = 1_000_000;
const HEARTBEAT_MS = 5_000;
/** Two heartbeats missing: the request, or who serves it, is gone. */
const SILENCE_MS = 2 * HEARTBEAT_MS + 500;
const EXPIRES_MS = 60_000;
const RETRY_MS = 250;
/** How long little room waits to become more: a request each would cost as much as the message. */
const GATHER_MS = 10;
/** The request is over without more to say: its time is up. */
const EXPIRED = 408;

/**
 * Works through a durable pull consumer: one request is out, for as many messages as there is room. After a lost connection, or when the
 * server has lost the request, it starts over. Resolves when the first request is out.
 */
export async function pull(link: NatsLink, options: PullOptions): Promise<Watch> {
  const { connection, clock, logger } = link;
  const { stream, consumer, room } = options;
  let subscription: Subscription | undefined;
  let inbox = "";
  let round = 0;
  let stopped = false;
  /** Messages that the request may still bring. */
  let asked = 0;
  let working = 0;
  let heardAt = 0;
  let gathering: TimerHandle;
  let watching: TimerHandle;

  /** On a connection that is going, what cannot be sent counts as lost on the way: it is asked for, or delivered, again. */
  const send = (subject: string, text: string, reply?: string): void => {
    if (link.status !== "connected") return;
    try {
      connection.publish(subject, text, reply === undefined ? {} : { reply });
    } catch (error) {
      logger.debug({ subject, error: messageOf(error) }, "the connection takes nothing more");
    }
  };
  const request = (): void => {
    clock.cancel(gathering);
    gathering = undefined;
    if (stopped || asked > 0 || working >= room) return;
    asked = room - working;
    const body = { batch: asked, expires: EXPIRES_MS * NANOS_PER_MS, idle_heartbeat: HEARTBEAT_MS * NANOS_PER_MS };
    send(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify(body), inbox);
  };
  const refill = (): void => {
    if (stopped || asked > 0 || link.status !== "connected") return;
    if (room - working >= room / 4) request();
    else gathering ??= clock.after(GATHER_MS, request);
  };

  const answer = (message: NatsMessage, text: string): void => {
    if (message.reply !== undefined) send(message.reply, text);
  };
  const handBack = (message: NatsMessage, delayMs: number): void =>
    answer(message, `-NAK ${JSON.stringify({ delay: delayMs * NANOS_PER_MS })}`);

  const workOn = async (message: NatsMessage): Promise<void> => {
    working++;
    try {
      await options.work(message);
      answer(message, "+ACK");
    } catch (error) {
      logger.debug({ subject: message.subject, error: messageOf(error) }, "a message could not be worked on yet");
      handBack(message, options.pauseMs(readPosition(message.reply).deliveries));
    } finally {
      working--;
      refill();
    }
  };
  const take = (message: NatsMessage): void => {
    heardAt = clock.monotonic();
    const { status } = message;
    if (status === 100) return;
    if (status === EXPIRED) {
      asked = 0;
      return refill();
    }
    if (status !== 0) return startOver(`status ${status}`);
    asked--;
    void workOn(message);
    refill();
  };

  const release = (): void => {
    clock.cancel(gathering);
    gathering = undefined;
    clock.cancel(watching);
    const old = subscription;
    subscription = undefined;
    // What is on its way still comes, and is handed back.
    if (old !== undefined && !old.isClosed() && link.status === "connected") void old.drain().catch(() => undefined);
  };
  const watchOver = (): void => {
    watching = clock.after(HEARTBEAT_MS, () => {
      if (asked > 0 && clock.monotonic() - heardAt >= SILENCE_MS) return startOver("the server has fallen silent");
      watchOver();
    });
  };

  const start = async (): Promise<void> => {
    const mine = ++round;
    release();
    await options.prepare();
    if (stopped || mine !== round) return;
    inbox = link.newInbox();
    asked = 0;
    heardAt = clock.monotonic();
    subscription = connection.subscribe(inbox, {
      callback: (error, raw) => {
        const message = new NatsMessage(raw);
        if (error !== null) startOver(messageOf(error));
        else if (mine === round && !stopped) take(message);
        else if (message.status === 0) handBack(message, 0);
      },
    });
    request();
    watchOver();
  };
  const startOver = (reason: string): void => {
    if (stopped) return;
    logger.debug({ stream, reason }, "a pull starts over");
    release();
    const mine = ++round;
    clock.after(RETRY_MS, () => {
      // Without a connection its return is what starts it again.
      if (!stopped && mine === round && link.status === "connected")
        start().catch((error: unknown) => startOver(messageOf(error)));
    });
  };

  link.onStatus((status) => {
    if (status === "connected" && !stopped) startOver("the connection is back");
  });
  const stop = (): void => {
    stopped = true;
    release();
  };
  try {
    await start();
  } catch (error) {
    stop();
    throw error;
  }
  return { stop };
}
