import type { Subscription } from "@nats-io/nats-core";

import type { TimerHandle } from "../base/clock.ts";
import { UnavailableError, messageOf } from "../base/errors.ts";
import type { NatsLink } from "./link.ts";
import { NatsMessage } from "./message.ts";

const NANOS_PER_MS = 1_000_000;
const HEARTBEAT_MS = 5_000;
/** The time of two missing heartbeats, after which the consumer counts as gone. */
const SILENCE_MS = 2 * HEARTBEAT_MS + 500;
/** The pause in expected messages after which the consumer asks the server, because the remaining messages may have been removed. */
const PAUSE_MS = 1_000;

type DeliverPolicy = "last_per_subject" | { readonly from: number };

export interface ConsumerOptions {
  readonly stream: string;
  /** The subjects to read. @defaultValue every subject */
  readonly filters: readonly string[];
  readonly deliver: DeliverPolicy;
  /** Receives each message in order. */
  onMessage(message: NatsMessage, revision: number): void;
  /** Called when every present message has been received. The call comes at the start if there is none, and again after each message that is the last. */
  onCaughtUp(): void;
  /** Called when the sequence is broken or the server has fallen silent. No message follows, so the caller must start over. */
  onBroken(reason: string): void;
}

export interface OrderedConsumer {
  stop(): void;
}

/**
 * Reads a bucket in order with a push consumer in memory, without acknowledgements and under flow control. The consumer ends with this process. It
 * checks its own order and reports a break.
 */
export async function openConsumer(link: NatsLink, options: ConsumerOptions): Promise<OrderedConsumer> {
  const consumer = new PushConsumer(link, options);
  try {
    await consumer.open();
  } catch (error) {
    consumer.stop();
    throw error;
  }
  return consumer;
}

class PushConsumer implements OrderedConsumer {
  readonly #link: NatsLink;
  readonly #options: ConsumerOptions;
  readonly #inbox: string;
  readonly #name: string;
  readonly #subscription: Subscription;
  /** The position of the next message in the order. */
  #expected = 1;
  #isStopped = false;
  #isCaughtUp = false;
  #heardAt: number;
  #timer: TimerHandle;

  /** Subscribes to the messages. The server sends none before {@link PushConsumer.open}. */
  constructor(link: NatsLink, options: ConsumerOptions) {
    this.#link = link;
    this.#options = options;
    this.#inbox = link.newInbox();
    this.#name = this.#inbox.slice(this.#inbox.lastIndexOf(".") + 1);
    this.#heardAt = link.clock.monotonic();
    this.#subscription = link.connection.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (error === null) this.#take(new NatsMessage(message));
        else this.#breakOff(messageOf(error));
      },
    });
  }

  async open(): Promise<void> {
    const { stream } = this.#options;
    const config = consumerConfig(this.#name, this.#inbox, this.#options);
    const request = { stream_name: stream, action: "create", config };
    const info = await this.#link.api.demand<ConsumerInfo>(`CONSUMER.CREATE.${stream}.${this.#name}`, request);
    this.#catchUp(info);
    if (!this.#isStopped) this.#watchOver();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#link.clock.cancel(this.#timer);
    if (!this.#subscription.isClosed()) this.#subscription.unsubscribe();
    // The server removes the consumer after its inactive threshold if this request is lost.
    void this.#link.api.ask(`CONSUMER.DELETE.${this.#options.stream}.${this.#name}`).catch(() => undefined);
  }

  #breakOff(reason: string): void {
    if (this.#isStopped) return;
    this.stop();
    this.#options.onBroken(reason);
  }

  #take(message: NatsMessage): void {
    if (this.#isStopped) return;
    this.#heardAt = this.#link.clock.monotonic();
    const { status } = message;
    if (status === 100) return this.#takeControl(message);
    if (status !== 0) return this.#breakOff(`status ${status}`);
    const position = readPosition(message.reply);
    if (position.order !== this.#expected) return this.#breakOff(`message ${this.#expected} is missing`);
    this.#expected++;
    try {
      this.#options.onMessage(message, position.revision);
      this.#isCaughtUp = position.pending === 0;
      if (this.#isCaughtUp) this.#options.onCaughtUp();
    } catch (error) {
      this.#breakOff(messageOf(error));
    }
  }

  /** Answers flow control. A stalled heartbeat carries the subject of the answer in a header. */
  #takeControl(message: NatsMessage): void {
    const stalled = message.reply ?? message.header("Nats-Consumer-Stalled");
    if (stalled !== undefined) this.#link.connection.publish(stalled);
    const last = message.header("Nats-Last-Consumer");
    const came = this.#expected - 1;
    if (last !== undefined && Number(last) !== came)
      this.#breakOff(`${came} messages came, the server has sent ${last}`);
  }

  #catchUp(info: ConsumerInfo): void {
    if (this.#isStopped || this.#isCaughtUp || info.num_pending > 0) return;
    if (info.delivered.consumer_seq >= this.#expected) return;
    this.#isCaughtUp = true;
    this.#options.onCaughtUp();
  }

  /** Asks the server about a pause. A lost consumer sends nothing, and neither does one whose remaining messages were removed. */
  #watchOver(): void {
    const { clock, api } = this.#link;
    this.#timer = clock.after(this.#isCaughtUp ? SILENCE_MS : PAUSE_MS, () => {
      const silentMs = clock.monotonic() - this.#heardAt;
      if (silentMs >= SILENCE_MS - PAUSE_MS) return this.#breakOff("the server has fallen silent");
      if (!this.#isCaughtUp && silentMs >= PAUSE_MS / 2)
        void api.demand<ConsumerInfo>(`CONSUMER.INFO.${this.#options.stream}.${this.#name}`).then(
          (info) => this.#catchUp(info),
          () => undefined,
        );
      this.#watchOver();
    });
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

/** Reads the numbers of `$JS.ACK.[domain.account.]stream.consumer.delivered.revision.order.time.pending[.token]`. */
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
