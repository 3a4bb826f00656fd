import type { Clock } from "../base/clock.ts";
import { InvalidError } from "../base/errors.ts";
import { createIdFactory } from "../base/id.ts";
import { seededRandom } from "../base/random.ts";
import type { Random } from "../base/random.ts";
import type { Headers } from "../ports/bus.ts";
import type { Interest, Letter, Party } from "./letter.ts";
import { SubjectTree } from "./subject-tree.ts";

/** The probabilities of faults in transit, from 0 to 1. @defaultValue 0 for all */
export interface Faults {
  /** A message is lost between the broker and a subscriber. */
  drop: number;
  /** A message is delivered twice. NATS itself never does this, but a sender that repeats itself has the same effect. */
  duplicate: number;
  /** A commit is stored and its acknowledgement is lost. The result is `unknown`. */
  loseAcknowledgement: number;
  /** A commit is lost before it is stored. The result is `unknown` as well. */
  loseCommit: number;
}

export interface BrokerOptions {
  /** The broker's clock, which counts leases and retention and delays deliveries. */
  readonly clock: Clock;
  /** @defaultValue a source seeded with 1 */
  readonly random?: Random;
  /** The milliseconds that a message takes in one direction. @defaultValue between 0.1 and 1 */
  readonly latencyMs?: { readonly min: number; readonly max: number };
  readonly faults?: Partial<Faults>;
  /** The most bytes of one message. @defaultValue 1 MiB */
  readonly maxMessageBytes?: number;
  /** The milliseconds for which a host that vanished silently keeps its subscriptions. @defaultValue 120,000 */
  readonly staleAfterMs?: number;
  /** The milliseconds that a commit waits for its acknowledgement, and any other call for its answer. @defaultValue 5,000 */
  readonly answerTimeoutMs?: number;
}

/** The broker's reaction to every commit except a deletion. `ok` stores it. With `silent`, it answers no write of a record bucket, as without a quorum. */
export type Storage = "ok" | "full" | "unavailable" | "silent";

/** The server of the network. It keeps the subscriptions, and it decides about faults and delays. */
export class Broker {
  readonly clock: Clock;
  readonly random: Random;
  readonly faults: Faults;
  readonly interests: SubjectTree<Interest> = new SubjectTree();
  readonly maxMessageBytes: number;
  readonly staleAfterMs: number;
  readonly answerTimeoutMs: number;
  readonly newId: () => string;
  storage: Storage = "ok";
  #steppedMs = 0;
  readonly #latency: { readonly min: number; readonly max: number };

  constructor(options: BrokerOptions) {
    this.clock = options.clock;
    this.random = options.random ?? seededRandom(1);
    this.newId = createIdFactory(this.random);
    this.faults = { drop: 0, duplicate: 0, loseAcknowledgement: 0, loseCommit: 0, ...options.faults };
    this.#latency = options.latencyMs ?? { min: 0.1, max: 1 };
    this.maxMessageBytes = options.maxMessageBytes ?? 1_048_576;
    this.staleAfterMs = options.staleAfterMs ?? 120_000;
    this.answerTimeoutMs = options.answerTimeoutMs ?? 5_000;
  }

  /** Returns the server's wall clock, in epoch milliseconds. */
  now(): number {
    return this.clock.now() + this.#steppedMs;
  }

  /** Moves the server's wall clock forward or back. The clock of durations does not change. */
  stepClock(ms: number): void {
    this.#steppedMs += ms;
  }

  /** Decides if a fault happens. A probability of 0 consumes no random number. */
  strikes(fault: keyof Faults): boolean {
    const share = this.faults[fault];
    return share > 0 && this.random() < share;
  }

  latency(): number {
    const { min, max } = this.#latency;
    return max > min ? min + (max - min) * this.random() : min;
  }

  publish(sender: Party, letter: Letter): void {
    if (sender.denied.has(letter.subject)) return sender.refuse(letter.subject);
    const groups = new Map<string, Interest[]>();
    let reached = false;
    for (const interest of this.interests.match(letter.subject)) {
      reached = true;
      if (interest.queue === undefined) this.#deliver(interest, letter);
      else {
        const key = `${interest.queue} ${interest.subject}`;
        const group = groups.get(key);
        if (group === undefined) groups.set(key, [interest]);
        else group.push(interest);
      }
    }
    for (const group of groups.values()) {
      const chosen = group.length === 1 ? group[0] : group[Math.floor(this.random() * group.length)];
      if (chosen !== undefined) this.#deliver(chosen, letter);
    }
    if (!reached && letter.reply !== undefined) this.#sayNobody(sender, letter.reply);
  }

  /** Sends the server's 503 only to the sender's own subscriptions of the reply-to. */
  #sayNobody(sender: Party, subject: string): void {
    const letter: Letter = {
      subject,
      data: new Uint8Array(),
      reply: undefined,
      headers: undefined,
      noResponders: true,
    };
    for (const interest of this.interests.match(subject)) {
      if (interest.link === sender) sender.inbound.send(() => interest.deliver(letter));
    }
  }

  #deliver(interest: Interest, letter: Letter): void {
    if (this.strikes("drop")) return;
    interest.link.inbound.send(() => interest.deliver(letter));
    if (this.strikes("duplicate")) interest.link.inbound.send(() => interest.deliver(letter));
  }
}

/** Refuses headers that NATS would refuse, or would take for the end of a header. */
export function requireHeaders(headers: Headers | undefined): void {
  for (const name in headers) {
    if (/[\r\n:]/.test(name) || /[\r\n]/.test(headers[name] as string)) {
      throw new InvalidError(
        "INVALID_OPTION",
        `header ${JSON.stringify(name)} must not hold a line break or a colon in its name`,
      );
    }
  }
}
