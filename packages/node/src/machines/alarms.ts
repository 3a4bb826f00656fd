import {
  H,
  MSGPACK_TYPE,
  decodeError,
  isErgonError,
  isMachineState,
  messageOf,
  shardOf,
  type Alarm,
  type Message,
  type TimerHandle,
  type Watch,
} from "@ergon/core";

import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { Listeners } from "../serve/listeners.ts";
import { refused, unreadable } from "../serve/refusals.ts";
import type { Refusal } from "../shard/commit-queue.ts";
import type { Host } from "../shard/host.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import { decodeAlarm, encodeAlarm, ownerOf, type AlarmOwner } from "./alarm-message.ts";

/** How long a shard's owner may take to store what follows from an alarm, before another node brings it. */
const DELIVER_MS = 5_000;
const LISTEN_AGAIN_MS = 5_000;

/** Brings alarms that the server sets off to the actors that wait for them: each until what follows from it is stored. */
export class Alarms {
  readonly #context: NodeContext;
  readonly #host: Host;
  readonly #listeners: Listeners;
  #watch: Watch | undefined;
  #again: TimerHandle;
  #stopped = false;
  #warned = false;

  constructor(context: NodeContext, host: Host, listeners: Listeners) {
    this.#context = context;
    this.#host = host;
    this.#listeners = listeners;
  }

  /** Listens to the alarms of the namespace with all other nodes; as long as that is not possible, it is tried again. */
  async listen(): Promise<void> {
    const { ports, logger, clock } = this.#context;
    try {
      const watch = await ports.alarms.listen((alarm) => this.#bring(alarm));
      if (this.#stopped) watch.stop();
      else this.#watch = watch;
    } catch (error) {
      if (this.#stopped) return;
      if (!this.#warned) logger.warn({ reason: messageOf(error) }, "this node cannot listen to alarms; tried again");
      this.#warned = true;
      this.#again = clock.after(LISTEN_AGAIN_MS, () => void this.listen());
    }
  }

  /** Takes no more alarms; those that are being brought are. */
  stop(): void {
    this.#stopped = true;
    this.#context.clock.cancel(this.#again);
    this.#watch?.stop();
  }

  /** An alarm for an actor of a shard that is served here. Answered once what follows from it is stored; one that nobody waits for is done with. */
  take(shard: HostedShard, id: string, message: Message): void {
    const event = decodeAlarm(message);
    const reason = shard.unreadable.get(id);
    if (reason !== undefined) throw unreadable(id, reason);
    const answer = (refusal?: Refusal): void => {
      if (refusal !== undefined) this.#listeners.fail(message.reply, refused(refusal));
      else if (message.reply !== undefined) this.#context.ports.bus.publish(message.reply, NO_BYTES);
    };
    const actor = shard.actors.get(id);
    if (actor === undefined || !isMachineState(this.#host.wake(actor))) return answer();
    if (!this.#host.advance(actor, { type: "ergon.alarm", ...event }, answer)) this.#host.whenStored(actor, answer);
  }

  async #bring(alarm: Alarm): Promise<void> {
    const { ports, names, logger } = this.#context;
    let owner: AlarmOwner;
    try {
      owner = ownerOf(alarm);
    } catch (error) {
      if (!isErgonError(error)) throw error;
      return logger.warn({ alarm: alarm.key, reason: error.message }, "an alarm is nobody's; it is passed over");
    }
    const { id, key } = owner;
    const subject = names.shard(shardOf(id, ports.records.shards), "alarm", id);
    const reply = await ports.bus.request(subject, encodeAlarm({ key, dueAt: alarm.dueAt }), {
      headers: { [H.contentType]: MSGPACK_TYPE },
      timeoutMs: DELIVER_MS,
    });
    const error = decodeError(reply);
    if (error !== undefined) throw error;
  }
}
