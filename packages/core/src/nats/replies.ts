import type { NatsConnection } from "@nats-io/nats-core";

import type { Clock, TimerHandle } from "../base/clock.ts";
import type { EncodedHeaders } from "./headers.ts";
import { NatsMessage } from "./message.ts";

/** The reason why a waiter gets no answer. */
export type Silence = "timeout" | "disconnected" | "closed" | "not-permitted";

/** The callbacks that wait for answers to one message. */
export interface Waiter {
  /** Handles an answer. Returns `true` if it was the last one. */
  answer(message: NatsMessage): boolean;
  fail(why: Silence): void;
}

interface Entry {
  readonly waiter: Waiter;
  readonly subject: string;
  readonly deadline: number;
}

/** The most milliseconds by which a timeout is late, so that one timer can serve all. */
const SLACK_MS = 20;
const ZERO = 48;

/**
 * Receives the answers to all requests of this process under one wildcard subscription. A number in the last token distinguishes them. A request
 * costs a third of one of nats.js, and an eighth of a JetStream publish of nats.js.
 */
export class Replies {
  readonly #connection: NatsConnection;
  readonly #clock: Clock;
  readonly #entries: Map<number, Entry> = new Map();
  /** The prefix `_INBOX.<unique>.` in ASCII. */
  readonly #prefix: string;
  #next = 0;
  #timer: TimerHandle;
  #timerDue = Number.POSITIVE_INFINITY;

  constructor(connection: NatsConnection, clock: Clock, inbox: string) {
    this.#connection = connection;
    this.#clock = clock;
    this.#prefix = `${inbox}.`;
    connection.subscribe(`${this.#prefix}*`, {
      callback: (error, message) => {
        if (error === null) this.#take(new NatsMessage(message));
      },
    });
  }

  /** The number of messages that wait for an answer. */
  get size(): number {
    return this.#entries.size;
  }

  /** Registers a waiter for answers, and returns the reply-to for them. */
  expect(subject: string, timeoutMs: number, waiter: Waiter): string {
    const token = ++this.#next;
    const deadline = this.#clock.monotonic() + timeoutMs;
    this.#entries.set(token, { waiter, subject, deadline });
    if (deadline < this.#timerDue - SLACK_MS) this.#arm(deadline);
    return this.#prefix + token;
  }

  /** Publishes with a reply-to of this inbox. Throws the connection's error, and expects no answer then. */
  ask(subject: string, data: Uint8Array, headers: EncodedHeaders | undefined, timeoutMs: number, waiter: Waiter): void {
    const reply = this.expect(subject, timeoutMs, waiter);
    try {
      this.#connection.publish(subject, data, headers === undefined ? { reply } : { reply, headers: headers.forNats });
    } catch (error) {
      this.#entries.delete(this.#next);
      throw error;
    }
  }

  /** Fails all waiters, or those whose request went to `subject`. */
  failAll(why: Silence, subject?: string): void {
    for (const [token, entry] of this.#entries) {
      if (subject !== undefined && entry.subject !== subject) continue;
      this.#entries.delete(token);
      entry.waiter.fail(why);
    }
    if (this.#entries.size === 0) this.#disarm();
  }

  #take(message: NatsMessage): void {
    const { subjectBytes } = message;
    let token = 0;
    for (let index = this.#prefix.length; index < subjectBytes.length; index++) {
      token = token * 10 + (subjectBytes[index] as number) - ZERO;
    }
    const entry = this.#entries.get(token);
    if (entry === undefined) return;
    if (entry.waiter.answer(message)) this.#entries.delete(token);
  }

  /** Removes the timer when nothing waits, so that a process that has closed its connection can end. */
  #disarm(): void {
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#timerDue = Number.POSITIVE_INFINITY;
  }

  #arm(deadline: number): void {
    this.#clock.cancel(this.#timer);
    this.#timerDue = deadline + SLACK_MS;
    this.#timer = this.#clock.after(Math.max(0, this.#timerDue - this.#clock.monotonic()), () => this.#sweep());
  }

  /**
   * Fails the waiters whose time is over. One timer serves all of them, because one timer each would cost more than the message. It fires at the
   * former earliest deadline, mostly long after that answer has come, and is then set to the next one. Without a waiter there is no timer.
   */
  #sweep(): void {
    const now = this.#clock.monotonic();
    let earliest = Number.POSITIVE_INFINITY;
    const late: Waiter[] = [];
    for (const [token, entry] of this.#entries) {
      if (entry.deadline <= now) {
        this.#entries.delete(token);
        late.push(entry.waiter);
      } else if (entry.deadline < earliest) earliest = entry.deadline;
    }
    this.#timer = undefined;
    this.#timerDue = Number.POSITIVE_INFINITY;
    if (earliest < Number.POSITIVE_INFINITY) this.#arm(earliest);
    for (const waiter of late) waiter.fail("timeout");
  }
}
