import { messageOf } from "../base/errors.ts";
import type { Watch } from "../ports/store.ts";
import { openConsumer } from "./consumer.ts";
import type { OrderedConsumer } from "./consumer.ts";
import { isStreamMissing } from "./errors.ts";
import { isGoneHeader } from "./keys.ts";
import type { NatsLink } from "./link.ts";
import type { NatsMessage } from "./message.ts";

/** A key's state. */
export interface KeyState {
  readonly key: string;
  readonly data: Uint8Array;
  /** Deleted or expired. */
  readonly gone: boolean;
  readonly revision: number;
}

export interface KeySource {
  readonly stream: string;
  readonly filter: string;
  /** The part of a subject before the key. */
  readonly prefix: string;
}

const RETRY_MS = 250;
const NOTHING = new Uint8Array(0);

/**
 * Tells every key under a filter as it is, then each change; resolves when the present ones have been told. After a lost connection, or
 * when the server has lost the consumer, it starts over: what has changed is told, and of a key that is gone without a trace that it is.
 */
export async function watchKeys(link: NatsLink, source: KeySource, tell: (state: KeyState) => void): Promise<Watch> {
  const watch = new KeyWatch(link, source, tell);
  await watch.start();
  return watch;
}

/** From one start of the watch to the next: what an older consumer still says counts for nothing. */
interface Round {
  readonly present: Set<string>;
  /** Every present key has been told. */
  isComplete: boolean;
}

class KeyWatch implements Watch {
  readonly #link: NatsLink;
  readonly #source: KeySource;
  readonly #tell: (state: KeyState) => void;
  readonly #ready = Promise.withResolvers<void>();
  /** Last told revision of each key that has a value. */
  readonly #known = new Map<string, number>();
  #consumer: OrderedConsumer | undefined;
  #round: Round | undefined;
  #startedAt = 0;
  #isStopped = false;
  #isLost = false;

  constructor(link: NatsLink, source: KeySource, tell: (state: KeyState) => void) {
    this.#link = link;
    this.#source = source;
    this.#tell = tell;
  }

  /** Resolves when the present keys have been told. */
  async start(): Promise<void> {
    this.#link.onStatus((status) => {
      if (status === "connected" && !this.#isStopped) this.#restart("the connection is back");
    });
    await this.#open();
    await this.#ready.promise;
  }

  stop(): void {
    this.#isStopped = true;
    this.#consumer?.stop();
  }

  async #open(): Promise<void> {
    const round: Round = { present: new Set(), isComplete: false };
    this.#round = round;
    this.#startedAt = this.#link.clock.monotonic();
    const opened = await openConsumer(this.#link, {
      stream: this.#source.stream,
      filters: [this.#source.filter],
      deliver: "last_per_subject",
      onMessage: (message, revision) => {
        if (this.#isCurrent(round)) this.#take(round, message, revision);
      },
      onCaughtUp: () => {
        if (this.#isCurrent(round)) this.#complete(round);
      },
      onBroken: (reason) => {
        if (this.#isCurrent(round)) this.#restartWhenDue(reason);
      },
    });
    if (!this.#isCurrent(round)) return opened.stop();
    this.#consumer = opened;
    if (this.#isLost) this.#reportReturn();
  }

  #isCurrent(round: Round | undefined): boolean {
    return !this.#isStopped && this.#round === round;
  }

  #take(round: Round, message: NatsMessage, revision: number): void {
    const key = message.subject.slice(this.#source.prefix.length);
    const gone = isGoneHeader(message);
    if (!gone) round.present.add(key);
    const isNews = gone ? round.isComplete || this.#known.has(key) : this.#known.get(key) !== revision;
    if (gone) this.#known.delete(key);
    else this.#known.set(key, revision);
    if (isNews) this.#tellOn({ key, data: message.data, gone, revision });
  }

  /** The present keys have been told: a known one that is not among them is gone. */
  #complete(round: Round): void {
    if (round.isComplete) return;
    round.isComplete = true;
    for (const key of [...this.#known.keys()]) {
      if (round.present.has(key)) continue;
      this.#known.delete(key);
      this.#tellOn({ key, data: NOTHING, gone: true, revision: 0 });
    }
    this.#ready.resolve();
  }

  /** A change that cannot be taken in would not be if it were told again: the others are. */
  #tellOn(state: KeyState): void {
    try {
      this.#tell(state);
    } catch (error) {
      this.#link.logger.error(
        { stream: this.#source.stream, key: state.key, err: error },
        "a change of a key could not be processed; the watch skips it",
      );
    }
  }

  #restart(reason: string): void {
    const { logger } = this.#link;
    const { stream } = this.#source;
    logger.debug({ stream, reason }, "a watch was interrupted; it starts again");
    this.#consumer?.stop();
    const opened = this.#open();
    const round = this.#round;
    opened.catch((error: unknown) => {
      logger.debug({ stream, error: messageOf(error) }, "a watch could not start again; trying again");
      if (this.#round !== round) return;
      // The next try finds out as well if NATS does not answer.
      this.#reportLoss().catch(() => undefined);
      this.#restartWhenDue("another try");
    });
  }

  /** At once, unless it has just started: what breaks it may still be there. */
  #restartWhenDue(reason: string): void {
    const { clock } = this.#link;
    const round = this.#round;
    clock.after(Math.max(0, this.#startedAt + RETRY_MS - clock.monotonic()), () => {
      // Without a connection its return is what starts the watch over.
      if (this.#isCurrent(round) && this.#link.status === "connected") this.#restart(reason);
    });
  }

  /** A missing bucket is no passing fault, so it must be reported. To create it again would hide the loss of all its data. */
  async #reportLoss(): Promise<void> {
    const { stream } = this.#source;
    const info = await this.#link.api.ask(`STREAM.INFO.${stream}`);
    if (this.#isLost || this.#isStopped || info.ok || !isStreamMissing(info.error)) return;
    this.#isLost = true;
    this.#link.logger.error(
      { code: "STORE_UNAVAILABLE", stream },
      "the bucket is gone: NATS runs without its files. This node stores nothing until the bucket is restored or all nodes are restarted",
    );
  }

  #reportReturn(): void {
    this.#isLost = false;
    this.#link.logger.error(
      { code: "STORE_UNAVAILABLE", stream: this.#source.stream },
      "the bucket was recreated; this node still holds state from the old one. Restart the node",
    );
  }
}
