import { messageOf } from "../base/errors.ts";
import type { Watch } from "../ports/store.ts";
import { openConsumer } from "./consumer.ts";
import type { OrderedConsumer } from "./consumer.ts";
import { isStreamMissing } from "./errors.ts";
import { isGoneHeader } from "./keys.ts";
import type { NatsLink } from "./link.ts";
import type { NatsMessage } from "./message.ts";

/** The state of a key. */
export interface KeyState {
  readonly key: string;
  readonly data: Uint8Array;
  /** True if the key was deleted or has expired. */
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
 * Reports the present state of every key under a filter, and then each change. Resolves after the present states. After a lost connection, or after
 * the server has lost the consumer, it starts over. It then reports all changes, and the end of each key that has disappeared without a trace.
 */
export async function watchKeys(link: NatsLink, source: KeySource, tell: (state: KeyState) => void): Promise<Watch> {
  const watch = new KeyWatch(link, source, tell);
  await watch.start();
  return watch;
}

/** The period from one start of the watch to the next. Messages of an older consumer have no effect. */
interface Round {
  readonly present: Set<string>;
  /** True after every present key has been reported. */
  isComplete: boolean;
}

class KeyWatch implements Watch {
  readonly #link: NatsLink;
  readonly #source: KeySource;
  readonly #tell: (state: KeyState) => void;
  readonly #ready = Promise.withResolvers<void>();
  /** The last reported revision of each key that has a value. */
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

  /** Resolves after the present keys have been reported. */
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

  /** Ends the report of the present keys. A known key that is not among them is gone. */
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

  /** Reports a change. A change that the listener cannot process would fail again, so the watch goes on with the next one. */
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

  /** Restarts at once, unless the watch has just started, because the cause of the break may still be there. */
  #restartWhenDue(reason: string): void {
    const { clock } = this.#link;
    const round = this.#round;
    clock.after(Math.max(0, this.#startedAt + RETRY_MS - clock.monotonic()), () => {
      // A lost connection starts the watch over when it returns.
      if (this.#isCurrent(round) && this.#link.status === "connected") this.#restart(reason);
    });
  }

  /** Reports a missing bucket, which does not pass by itself. A new bucket would hide the loss of all its data. */
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
