import { HOUR, TerminalError, UnavailableError, isErgonError, messageOf } from "@ergon/core";
import type { Bus, BusStatus, Clock, ErgonError, Logger, Message, Subscription } from "@ergon/core";
import { H, decodeError, encodeError } from "@ergon/core/engine";
import type { Names } from "@ergon/core/engine";

import type { Answer } from "./answer.ts";
import { Recent } from "./recent.ts";
import { EARLY_MS } from "./sweep.ts";

/** Receives the messages of a subject while the agent runs. */
export type Listen = (subject: string, take: (message: Message) => void) => Subscription;

interface Pending {
  answer: Answer;
  readonly born: number;
  sends: number;
  due: number;
}

export interface AnswersOptions {
  readonly agent: string;
  readonly names: Names;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly listen: Listen;
  wake(due: number): void;
}

const UNAVAILABLE_MS = 250;
const FIRST_RESEND_MS = 1_000;
const LAST_RESEND_MS = 5_000;
const GIVE_UP_MS = HOUR;

/**
 * Sends each answer until its shard's owner has recorded or refused it. If nobody listens, it sends again as soon as a new owner says
 * that it serves the shard, or after 250 ms. Without any reply it sends again after 1 s, then 2, 4, 5 s.
 */
export class Answers {
  readonly #options: AnswersOptions;
  readonly #inbox: string;
  readonly #pending: Map<string, Pending> = new Map();
  readonly #recent: Recent = new Recent();
  #connected = true;
  #idle: (() => void)[] = [];

  constructor(options: AnswersOptions) {
    this.#options = options;
    this.#inbox = options.names.recorded(options.agent, "");
  }

  start(): void {
    const { agent, listen, names } = this.#options;
    listen(names.recorded(agent, ">"), (message) => this.#heard(message));
  }

  stop(): void {
    this.#pending.clear();
  }

  /** The number of answers that no owner has recorded yet. */
  get size(): number {
    return this.#pending.size;
  }

  /** Calls `run` once, when no answer is pending. */
  whenIdle(run: () => void): void {
    if (this.#pending.size === 0) run();
    else this.#idle.push(run);
  }

  send(answer: Answer): void {
    const pending: Pending = { answer, born: this.#options.clock.monotonic(), sends: 0, due: Infinity };
    this.#pending.set(answer.key, pending);
    this.#transmit(pending);
  }

  /** Sends the answer of an attempt again, if it has one that is remembered. */
  again({ key, deadline }: Pick<Answer, "key" | "deadline">): boolean {
    const pending = this.#pending.get(key);
    if (pending !== undefined && pending.answer.deadline === deadline) {
      this.#transmit(pending);
      return true;
    }
    const answer = this.#recent.find(key);
    if (answer === undefined || answer.deadline !== deadline) return false;
    this.send(answer);
    return true;
  }

  sweep(now: number): number {
    let next = Infinity;
    for (const [key, pending] of this.#pending) {
      if (pending.due <= now + EARLY_MS) {
        if (now - pending.born > GIVE_UP_MS)
          this.#settle(key, pending, "no owner of the shard recorded the answer within an hour");
        else this.#transmit(pending);
      }
      next = Math.min(next, pending.due);
    }
    return next;
  }

  /** A shard has a new owner; the subjects of its answers begin with `prefix`. */
  owned(prefix: string): void {
    for (const pending of this.#pending.values())
      if (pending.answer.subject.startsWith(prefix)) this.#transmit(pending);
  }

  /** The connection's status: pending answers are sent as soon as the connection is back. */
  connection(status: BusStatus): void {
    const was = this.#connected;
    this.#connected = status === "connected";
    if (this.#connected && !was) for (const pending of this.#pending.values()) this.#transmit(pending);
  }

  #transmit(pending: Pending): void {
    const { bus, clock, logger } = this.#options;
    const { key, subject, data, headers } = pending.answer;
    pending.due = clock.monotonic() + Math.min(LAST_RESEND_MS, FIRST_RESEND_MS * 2 ** Math.min(pending.sends, 3));
    if (this.#connected) {
      pending.sends++;
      try {
        bus.publish(subject, data, { headers, reply: this.#inbox + key });
      } catch (error) {
        // An answer that the adapter can never send must not be retried for an hour.
        if (isErgonError(error) && error.kind === "invalid") return this.#unacceptable(key, pending, error);
        logger.warn({ answer: key, error: messageOf(error) }, "an answer could not be sent; the agent sends it again");
      }
    }
    this.#options.wake(pending.due);
  }

  #heard(message: Message): void {
    const key = message.subject.slice(this.#inbox.length);
    const pending = this.#pending.get(key);
    if (pending === undefined) return;
    const error = message.noResponders ? NOBODY : decodeError(message);
    if (error === undefined) this.#settle(key, pending);
    else this.#refused(key, pending, error);
  }

  #refused(key: string, pending: Pending, error: ErgonError): void {
    switch (error.kind) {
      case "stale":
      case "not-found":
      case "conflict":
        return this.#settle(key, pending);
      case "unavailable":
      case "retryable":
        pending.due = this.#options.clock.monotonic() + UNAVAILABLE_MS;
        return this.#options.wake(pending.due);
      case "invalid":
      case "terminal":
        return this.#unacceptable(key, pending, error);
    }
  }

  /** The owner will never take this answer (it may be too large): the attempt fails for good, with the owner's reason. */
  #unacceptable(key: string, pending: Pending, error: ErgonError): void {
    const { answer } = pending;
    if (answer.headers[H.event] !== "succeeded")
      return this.#settle(key, pending, `the answer was refused: ${error.message}`);
    const failure = encodeError(new TerminalError(error.code, error.message));
    const agent = answer.headers[H.agent] ?? "";
    pending.answer = {
      ...answer,
      data: failure.data,
      headers: { ...failure.headers, [H.event]: "failed", [H.agent]: agent },
    };
    this.#transmit(pending);
  }

  #settle(key: string, pending: Pending, warning?: string): void {
    if (warning !== undefined) this.#options.logger.warn({ answer: key }, warning);
    this.#pending.delete(key);
    this.#recent.add(pending.answer);
    if (this.#pending.size > 0 || this.#idle.length === 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const run of waiting) run();
  }
}

const NOBODY = new UnavailableError("NO_NODE", "no node serves the shard");
