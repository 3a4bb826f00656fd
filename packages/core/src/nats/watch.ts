import { messageOf } from "../base/errors.ts";
import type { Watch } from "../ports/store.ts";
import { openConsumer } from "./consumer.ts";
import type { OrderedConsumer } from "./consumer.ts";
import { isStreamMissing } from "./errors.ts";
import { isGoneHeader } from "./keys.ts";
import type { NatsLink } from "./link.ts";

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
  /** What stands before the key in a subject. */
  readonly prefix: string;
}

const RETRY_MS = 250;
const NOTHING = new Uint8Array(0);

/**
 * Tells every key under a filter as it is, then each change; resolves when the present ones have been told. After a lost connection, or
 * when the server has lost the consumer, it starts over: what has changed is told, and of a key that is gone without a trace that it is.
 */
export async function watchKeys(link: NatsLink, source: KeySource, tell: (state: KeyState) => void): Promise<Watch> {
  const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
  /** Last told revision of each key that has a value. */
  const known = new Map<string, number>();
  let consumer: OrderedConsumer | undefined;
  let round = 0;
  let startedAt = 0;
  let stopped = false;
  let isLost = false;

  /** A change that cannot be taken in would not be if it were told again: the others are. */
  const tellOn = (state: KeyState): void => {
    try {
      tell(state);
    } catch (error) {
      link.logger.error(
        { stream: source.stream, key: state.key, err: error },
        "a change of a key could not be processed; the watch skips it",
      );
    }
  };

  const start = async (): Promise<void> => {
    const mine = ++round;
    startedAt = link.clock.monotonic();
    const isCurrent = (): boolean => !stopped && mine === round;
    const present = new Set<string>();
    let isComplete = false;

    const complete = (): void => {
      if (isComplete) return;
      isComplete = true;
      for (const key of [...known.keys()]) {
        if (present.has(key)) continue;
        known.delete(key);
        tellOn({ key, data: NOTHING, gone: true, revision: 0 });
      }
      becomeReady();
    };

    const opened = await openConsumer(link, {
      stream: source.stream,
      filters: [source.filter],
      deliver: "last_per_subject",
      onMessage: (message, revision) => {
        if (!isCurrent()) return;
        const key = message.subject.slice(source.prefix.length);
        const gone = isGoneHeader(message);
        if (!gone) present.add(key);
        const isNews = gone ? isComplete || known.has(key) : known.get(key) !== revision;
        if (gone) known.delete(key);
        else known.set(key, revision);
        if (isNews) tellOn({ key, data: message.data, gone, revision });
      },
      onCaughtUp: () => {
        if (isCurrent()) complete();
      },
      onBroken: (reason) => {
        if (isCurrent()) restartWhenDue(reason);
      },
    });
    if (!isCurrent()) return opened.stop();
    consumer = opened;
    if (!isLost) return;
    isLost = false;
    link.logger.error(
      { code: "STORE_UNAVAILABLE", stream: source.stream },
      "the bucket was recreated; this node still holds state from the old one. Restart the node",
    );
  };

  /** That a bucket is gone is no passing trouble: somebody has to hear of it. Creating it anew would hide that all of it is lost. */
  const reportLoss = async (): Promise<void> => {
    const info = await link.api.ask(`STREAM.INFO.${source.stream}`);
    if (isLost || stopped || info.ok || !isStreamMissing(info.error)) return;
    isLost = true;
    link.logger.error(
      { code: "STORE_UNAVAILABLE", stream: source.stream },
      "the bucket is gone: NATS runs without its files. This node stores nothing until the bucket is restored or all nodes are restarted",
    );
  };

  const restart = (reason: string): void => {
    link.logger.debug({ stream: source.stream, reason }, "a watch was interrupted; it starts again");
    consumer?.stop();
    const started = start();
    const mine = round;
    started.catch((error: unknown) => {
      link.logger.debug(
        { stream: source.stream, error: messageOf(error) },
        "a watch could not start again; trying again",
      );
      if (mine !== round) return;
      // Whether NATS answers is what the next try finds out too.
      reportLoss().catch(() => undefined);
      restartWhenDue("another try");
    });
  };

  /** At once, unless it has just started: what breaks it may still be there. */
  const restartWhenDue = (reason: string): void => {
    const mine = round;
    link.clock.after(Math.max(0, startedAt + RETRY_MS - link.clock.monotonic()), () => {
      // Without a connection its return is what starts the watch over.
      if (!stopped && mine === round && link.status === "connected") restart(reason);
    });
  };

  link.onStatus((status) => {
    if (status === "connected" && !stopped) restart("the connection is back");
  });
  await start();
  await ready;
  return {
    stop: () => {
      stopped = true;
      consumer?.stop();
    },
  };
}
