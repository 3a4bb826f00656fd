import type { TimerHandle } from "../base/clock.ts";
import { UnavailableError, messageOf } from "../base/errors.ts";
import type { NatsLink } from "./link.ts";
import { NatsMessage } from "./message.ts";

const NANOS_PER_MS = 1_000_000;
const HEARTBEAT_MS = 5_000;
/** Two heartbeats missing: the consumer is gone. */
const SILENCE_MS = 2 * HEARTBEAT_MS + 500;
/** A pause in what should be coming: the rest may have been removed meanwhile, so the server is asked. */
const PAUSE_MS = 1_000;

type DeliverPolicy = "last_per_subject" | { readonly from: number };

export interface ConsumerOptions {
  readonly stream: string;
  /** None: every subject. */
  readonly filters: readonly string[];
  readonly deliver: DeliverPolicy;
  /** Hears each message, in order. */
  onMessage(message: NatsMessage, revision: number): void;
  /** What there is by now has been heard. Said at the start when there is nothing, and whenever it is so again after a message. */
  onCaughtUp(): void;
  /** The sequence is broken, or the server has fallen silent: nothing more comes, start over. */
  onBroken(reason: string): void;
}

export interface OrderedConsumer {
  stop(): void;
}

/**
 * A push consumer in memory, without acknowledgements, under flow control: it reads a bucket in order, as fast as we take it, and is gone
 * when we are. It checks its own order and says when it is broken.
 */
export async function openConsumer(link: NatsLink, options: ConsumerOptions): Promise<OrderedConsumer> {
  const { connection, clock } = link;
  const inbox = link.newInbox();
  const name = inbox.slice(inbox.lastIndexOf(".") + 1);
  let expected = 1;
  let stopped = false;
  let heardAt = clock.monotonic();
  let isCaughtUp = false;
  let timer: TimerHandle;

  const stop = (): void => {
    if (stopped) return;
    stopped = true;
    clock.cancel(timer);
    if (!subscription.isClosed()) subscription.unsubscribe();
    // Gone by itself after its inactive threshold, should this not arrive.
    void link.api.ask(`CONSUMER.DELETE.${options.stream}.${name}`).catch(() => undefined);
  };
  const breakOff = (reason: string): void => {
    if (stopped) return;
    stop();
    options.onBroken(reason);
  };

  const take = (message: NatsMessage): void => {
    if (stopped) return;
    heardAt = clock.monotonic();
    const status = message.status;
    const reply = message.reply;
    if (status === 100) {
      // Flow control asks for an answer; a heartbeat that has stalled carries the subject to answer in a header.
      const stalled = reply ?? message.header("Nats-Consumer-Stalled");
      if (stalled !== undefined) connection.publish(stalled);
      const last = message.header("Nats-Last-Consumer");
      if (last !== undefined && Number(last) !== expected - 1)
        breakOff(`${expected - 1} messages came, the server has sent ${last}`);
      return;
    }
    if (status !== 0) return breakOff(`status ${status}`);
    const position = readPosition(reply);
    if (position.order !== expected) return breakOff(`message ${expected} is missing`);
    expected++;
    try {
      options.onMessage(message, position.revision);
      isCaughtUp = position.pending === 0;
      if (isCaughtUp) options.onCaughtUp();
    } catch (error) {
      breakOff(messageOf(error));
    }
  };

  const catchUp = (info: ConsumerInfo): void => {
    if (stopped || isCaughtUp || info.num_pending > 0 || info.delivered.consumer_seq >= expected) return;
    isCaughtUp = true;
    options.onCaughtUp();
  };
  const watchOver = (): void => {
    timer = clock.after(isCaughtUp ? SILENCE_MS : PAUSE_MS, () => {
      const silentMs = clock.monotonic() - heardAt;
      if (silentMs >= SILENCE_MS - PAUSE_MS) return breakOff("the server has fallen silent");
      if (!isCaughtUp && silentMs >= PAUSE_MS / 2) {
        void link.api.demand<ConsumerInfo>(`CONSUMER.INFO.${options.stream}.${name}`).then(catchUp, () => undefined);
      }
      watchOver();
    });
  };

  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => {
      if (error === null) take(new NatsMessage(message));
      else breakOff(messageOf(error));
    },
  });
  try {
    const config = consumerConfig(name, inbox, options);
    const request = { stream_name: options.stream, action: "create", config };
    const info = await link.api.demand<ConsumerInfo>(`CONSUMER.CREATE.${options.stream}.${name}`, request);
    catchUp(info);
    if (!stopped) watchOver();
    return { stop };
  } catch (error) {
    stop();
    throw error;
  }
}

interface ConsumerInfo {
  readonly num_pending: number;
  readonly delivered: { readonly consumer_seq: number };
}

function consumerConfig(name: string, inbox: string, options: ConsumerOptions): object {
  const start =
    options.deliver === "last_per_subject"
      ? { deliver_policy: "last_per_subject" }
      : { deliver_policy: "by_start_sequence", opt_start_seq: Math.max(1, options.deliver.from) };
  return {
    name,
    deliver_subject: inbox,
    ack_policy: "none",
    max_deliver: 1,
    flow_control: true,
    idle_heartbeat: HEARTBEAT_MS * NANOS_PER_MS,
    inactive_threshold: 30_000 * NANOS_PER_MS,
    mem_storage: true,
    num_replicas: 1,
    ...(options.filters.length === 0 ? {} : { filter_subjects: options.filters }),
    ...start,
  };
}

/** Out of `$JS.ACK.[domain.account.]stream.consumer.delivered.revision.order.time.pending[.token]`. */
function readPosition(reply: string | undefined): {
  readonly revision: number;
  readonly order: number;
  readonly pending: number;
} {
  const tokens = (reply ?? "").split(".");
  if (tokens[1] !== "ACK" || tokens.length < 9)
    throw new UnavailableError("STORE_UNAVAILABLE", "a message of a consumer without its position");
  const first = tokens.length === 9 ? 5 : 7;
  return {
    revision: Number(tokens[first]),
    order: Number(tokens[first + 1]),
    pending: Number(tokens[first + 3]),
  };
}
