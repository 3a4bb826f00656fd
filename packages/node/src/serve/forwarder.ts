import { UnavailableError, type Message } from "@ergon/core";
import { attemptKey, delay } from "@ergon/core/engine";

import type { Cluster } from "../membership/cluster.ts";
import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Replies } from "./replies.ts";
import { WaitingMessages } from "./waiting-messages.ts";

/** The number of messages that a node keeps for a shard without an owner, and the time for which it keeps them. A take-over is quicker. */
const MOST_KEPT = 2_000;
const KEPT_MS = 10_000;
/** The pause after which a stopping node checks again whether the messages that it keeps have found an owner. */
const LOOK_MS = 20;

interface Kept {
  readonly verb: string;
  readonly id: string;
  readonly message: Message;
  readonly until: number;
}

/** Brings messages to the owner of their shard: to this node, to another node, or to the next owner as soon as there is one. */
export class Forwarder {
  readonly #context: NodeContext;
  readonly #cluster: Cluster;
  readonly #replies: Replies;
  readonly #kept = new Map<number, Kept[]>();
  /** All messages that wait at this node, including those that {@link RequestRouter} keeps for the node's own shards. */
  readonly waiting: WaitingMessages = new WaitingMessages();

  constructor(context: NodeContext, cluster: Cluster, replies: Replies) {
    this.#context = context;
    this.#cluster = cluster;
    this.#replies = replies;
  }

  /** Forwards the message to another owner, with the reply-to of its sender. */
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

  /** Brings the unserved messages of a shard that left to its next owner. `serve` returns whether this node is the owner and has taken the message. */
  handOn(shard: HostedShard, serve: (verb: string, id: string, message: Message) => boolean): void {
    const { buffer } = shard;
    shard.buffer = [];
    for (const message of buffer) {
      this.waiting.leave(message);
      const { verb, id, attempt } = this.#context.names.parseShard(message.subject);
      if (message.noResponders) continue;
      const whole = verb === "reply" ? attemptKey(id, attempt) : id;
      if (!serve(verb, whole, message)) this.forward(shard.number, verb, whole, message);
    }
  }

  /** Resolves when the node keeps no message any more. Each message has gone to an owner, or back to its sender after its time. */
  async emptied(): Promise<void> {
    while (this.#kept.size > 0) await delay(this.#context.clock, LOOK_MS);
  }

  /** Refuses all kept messages, because this node stops and no node has taken the shards. */
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

  /** This node owns the shard now, and takes the messages that it kept. */
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
      // A message that NATS cannot forward (too large with the node's headers, a line break in a header) must not hold back those behind it.
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
