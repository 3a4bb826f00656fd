import { UnavailableError, type Message } from "@ergon/core";
import { delay } from "@ergon/core/engine";

import type { Cluster } from "../membership/cluster.ts";
import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Replies } from "./replies.ts";
import { WaitingMessages } from "./waiting-messages.ts";

/** Messages kept for a shard without an owner, and how long: a take-over is quicker. */
const MOST_KEPT = 2_000;
const KEPT_MS = 10_000;
/** How often a node that stops looks whether what it keeps has found an owner. */
const LOOK_MS = 20;

interface Kept {
  readonly verb: string;
  readonly id: string;
  readonly message: Message;
  readonly until: number;
}

/** Brings messages to the owner of their shard: here, at another node, or, while nobody owns it, as soon as somebody does. */
export class Forwarder {
  readonly #context: NodeContext;
  readonly #cluster: Cluster;
  readonly #replies: Replies;
  readonly #kept = new Map<number, Kept[]>();
  /** Of all messages that wait at this node, those that {@link RequestRouter} keeps for its own shards too. */
  readonly waiting: WaitingMessages = new WaitingMessages();

  constructor(context: NodeContext, cluster: Cluster, replies: Replies) {
    this.#context = context;
    this.#cluster = cluster;
    this.#replies = replies;
  }

  /** Sends on to another owner, with the reply-to of the one who asked. */
  forward(shard: number, verb: string, id: string, message: Message): void {
    const owner = this.#cluster.ownerOf(shard);
    if (owner !== undefined && owner !== this.#context.node) return this.#send(shard, verb, id, message);
    const kept = this.#kept.get(shard) ?? [];
    if (kept.length >= MOST_KEPT) {
      return this.#replies.fail(
        message.reply,
        new UnavailableError("SHARD_MOVED", `shard ${shard} has no owner at the moment; send the request again`, {
          retryAfterMs: 500,
        }),
      );
    }
    const until = this.#context.clock.monotonic() + KEPT_MS;
    let copy: Message;
    try {
      copy = this.waiting.enter(message);
    } catch (error) {
      return this.#replies.fail(message.reply, error);
    }
    kept.push({ verb, id, message: copy, until });
    this.#kept.set(shard, kept);
    if (kept.length === 1) this.#context.clock.after(KEPT_MS, () => this.#expire(shard));
  }

  /** What a shard that left had not served yet goes to its next owner; `serve` answers whether this node is that, and has taken the message. */
  handOn(shard: HostedShard, serve: (verb: string, id: string, message: Message) => boolean): void {
    const { buffer } = shard;
    shard.buffer = [];
    for (const message of buffer) {
      this.waiting.leave(message);
      const { verb, id, attempt } = this.#context.names.parseShard(message.subject);
      if (message.noResponders) continue;
      const whole = verb === "reply" ? `${id}.${attempt}` : id;
      if (!serve(verb, whole, message)) this.forward(shard.number, verb, whole, message);
    }
  }

  /** Resolves when nothing is kept here any more: each message has gone to an owner, or was given back after its time. */
  async emptied(): Promise<void> {
    while (this.#kept.size > 0) await delay(this.#context.clock, LOOK_MS);
  }

  /** Refuses all that is kept: this node stops, and nobody has taken the shards. */
  giveBack(): void {
    for (const shard of [...this.#kept.keys()])
      for (const { message } of this.takeKept(shard)) {
        const text = `this node is stopping, and shard ${shard} has no owner yet; ask again`;
        this.#replies.fail(message.reply, new UnavailableError("NODE_STOPPING", text, { retryAfterMs: 500 }));
      }
  }

  /** Another node owns the shard now. */
  owned(shard: number): void {
    for (const { verb, id, message } of this.takeKept(shard)) this.forward(shard, verb, id, message);
  }

  /** This node owns the shard now: it takes what was kept. */
  takeKept(shard: number): readonly Kept[] {
    const kept = this.#kept.get(shard) ?? [];
    this.#kept.delete(shard);
    for (const { message } of kept) this.waiting.leave(message);
    return kept;
  }

  #send(shard: number, verb: string, id: string, message: Message): void {
    const { ports, names } = this.#context;
    const { data, reply } = message;
    try {
      ports.bus.publish(names.shard(shard, verb, id), data, { headers: message.headers(), reply });
    } catch (error) {
      // One that cannot be sent on (too large with what a node adds, a line break in a header) must not keep those behind it back.
      this.#replies.fail(reply, error);
    }
  }

  #expire(shard: number): void {
    const now = this.#context.clock.monotonic();
    const kept = this.#kept.get(shard) ?? [];
    const rest = kept.filter(({ until }) => until > now);
    for (const { message, until } of kept) {
      if (until > now) continue;
      this.waiting.leave(message);
      const text = `shard ${shard} has had no owner for ${KEPT_MS} ms; ask again`;
      this.#replies.fail(message.reply, new UnavailableError("SHARD_MOVED", text));
    }
    if (rest.length === 0) this.#kept.delete(shard);
    else {
      this.#kept.set(shard, rest);
      this.#context.clock.after(1_000, () => this.#expire(shard));
    }
  }
}
