import { type Subscription } from "@ergon/core";
import {
  H,
  JSON_TYPE,
  encodeBody,
  isMachineState,
  stateText,
  taskOf,
  type ActorState,
  type Asking,
  type MachineRecordState,
} from "@ergon/core/engine";

import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { Listener, Listening, LiveActor } from "../shard/actor.ts";
import { TimerQueue, UNQUEUED } from "../shard/timer-queue.ts";
import { hasEnded, statusText } from "./describe.ts";
import type { Outcome } from "./outcome.ts";
import type { Replies } from "./replies.ts";
import { isMet } from "./wait-target.ts";

const KEEPALIVE_MS = 5_000;

/** Reports the changes of actors: answers to waiting requests, each change to watchers, and events to all subscribers. */
export class Listeners {
  readonly #context: NodeContext;
  readonly #replies: Replies;
  readonly #bounds = new TimerQueue<Listener>();
  /** The watchers with a keepalive in flight, by the number in its reply-to. The server reports on it when a watcher is gone. */
  readonly #pinged = new Map<string, Listener>();
  #pings = 0;
  #gone: Subscription | undefined;
  #armed: unknown;
  #armedFor = Number.POSITIVE_INFINITY;

  constructor(context: NodeContext, replies: Replies) {
    this.#context = context;
    this.#replies = replies;
  }

  start(): void {
    const { ports, names, node } = this.#context;
    this.#gone = ports.bus.subscribe(names.nodeVerb(node, "watcher.*"), ({ subject, noResponders }) => {
      const listener = this.#pinged.get(subject);
      this.#pinged.delete(subject);
      if (noResponders && listener !== undefined) this.#remove(listener);
    });
  }

  /** Answers a request for a new task or instance with its outcome. */
  answerOutcome(asking: Asking, shard: number, outcome: Outcome): void {
    if (outcome.kind === "refused") this.#replies.fail(asking.reply, outcome.error);
    else this.answerOrWait(asking, shard, outcome.actor, outcome.state);
  }

  /** Answers a request with an actor at once, when the awaited change has come, or when the request's time is over. */
  answerOrWait(asking: Asking, shard: number, actor: LiveActor | undefined, state: ActorState): void {
    const { reply, waitMs, until } = asking;
    if (reply === undefined) return;
    if (waitMs === undefined || actor === undefined || hasEnded(state) || (until !== undefined && isMet(until, state)))
      return this.#replies.answer(asking, shard, state, actor);
    this.#add({ actor, kind: "wait", reply, asking, due: 0, position: UNQUEUED }, waitMs);
  }

  /** Sends the actor at each of its changes until it has ended. */
  watch(asking: Asking, actor: LiveActor): void {
    const { reply } = asking;
    if (reply !== undefined)
      this.#add({ actor, kind: "watch", reply, asking, due: 0, position: UNQUEUED }, KEEPALIVE_MS);
  }

  /** The store has stored the actor's record. */
  stored(actor: LiveActor, ended: boolean): void {
    const { committed: state } = actor;
    if (state === undefined) return;
    this.#publishEvent(actor, state);
    const listeners = actor.listening?.listeners;
    if (listeners === undefined) return;
    for (const listener of listeners.slice()) {
      const { kind, asking } = listener;
      const over = ended || (kind === "wait" && asking.until !== undefined && isMet(asking.until, state));
      if (!over && kind === "wait") continue;
      this.#replies.answer(asking, actor.shard.number, state, actor);
      if (over) this.#remove(listener);
      else this.#bound(listener, KEEPALIVE_MS);
    }
  }

  /** Reports progress to watchers. The node keeps it nowhere else. */
  progressed(actor: LiveActor): void {
    for (const { kind, asking } of actor.listening?.listeners ?? [])
      if (kind === "watch" && actor.committed !== undefined)
        this.#replies.answer(asking, actor.shard.number, actor.committed, actor);
  }

  /** The actor has left this node, and its listeners ask again at its new owner. */
  dropped(actor: LiveActor, error?: unknown): void {
    for (const listener of actor.listening?.listeners?.slice() ?? []) {
      this.#remove(listener);
      if (error !== undefined) this.#replies.fail(listener.reply, error);
    }
  }

  stop(): void {
    this.#gone?.unsubscribe();
    this.#context.clock.cancel(this.#armed);
  }

  #publishEvent(actor: LiveActor, state: ActorState): void {
    if (isMachineState(state)) return this.#publishChange(actor, state);
    const task = taskOf(state);
    const status = statusText(state);
    // One commit may hold several changes. If an attempt was lost and the next one has begun, the node reports only the latter.
    const change = status === "scheduled" ? status : `${status} ${task.attempt}`;
    if (!isNews(actor, change)) return;
    const { ports, names } = this.#context;
    const event = {
      id: task.id,
      status,
      driver: task.driver,
      attempt: task.attempt,
      at: task.updatedAt,
      correlationId: task.correlationId,
      reason: task.reason,
    };
    ports.bus.publish(names.event(actor.machine.name, status, task.id), encodeBody(event, JSON_TYPE), {});
  }

  #publishChange(actor: LiveActor, { meta, persisted }: MachineRecordState): void {
    const { id, status, updatedAt, correlationId, reason } = meta;
    const change = `${status} ${JSON.stringify(persisted.value)}`;
    if (!isNews(actor, change)) return;
    const { ports, names } = this.#context;
    const { value } = persisted;
    const event = { id, status, value, state: stateText(value), at: updatedAt, correlationId, reason };
    ports.bus.publish(names.event(actor.machine.name, status, id), encodeBody(event, JSON_TYPE), {});
  }

  #add(listener: Listener, boundMs: number): void {
    (listeningOf(listener.actor).listeners ??= []).push(listener);
    this.#bound(listener, boundMs);
  }

  #remove(listener: Listener): void {
    if (listener.ping !== undefined) this.#pinged.delete(listener.ping);
    this.#bounds.delete(listener);
    const listening = listeningOf(listener.actor);
    const rest = listening.listeners?.filter((other) => other !== listener);
    listening.listeners = rest === undefined || rest.length === 0 ? undefined : rest;
  }

  #bound(listener: Listener, ms: number): void {
    this.#bounds.set(listener, this.#context.clock.monotonic() + ms);
    this.#arm();
  }

  #arm(): void {
    const next = this.#bounds.peek();
    if (next === undefined || next.due >= this.#armedFor) return;
    const { clock } = this.#context;
    clock.cancel(this.#armed);
    this.#armedFor = next.due;
    this.#armed = clock.after(Math.min(Math.max(0, next.due - clock.monotonic()), MAX_ARM_MS), () => this.#fire());
  }

  /** The server's 503 on the keepalive's reply-to shows that a watcher has left. */
  #keepAlive(listener: Listener): void {
    const { ports, names, node } = this.#context;
    if (listener.ping !== undefined) this.#pinged.delete(listener.ping);
    listener.ping = names.nodeVerb(node, `watcher.${++this.#pings}`);
    this.#pinged.set(listener.ping, listener);
    ports.bus.publish(listener.reply, NO_BYTES, { headers: { [H.event]: "keepalive" }, reply: listener.ping });
  }

  #fire(): void {
    this.#armedFor = Number.POSITIVE_INFINITY;
    const now = this.#context.clock.monotonic();
    for (let next = this.#bounds.peek(); next !== undefined && next.due <= now; next = this.#bounds.peek()) {
      if (next.kind === "watch") {
        this.#keepAlive(next);
        this.#bounds.set(next, now + KEEPALIVE_MS);
      } else {
        this.#remove(next);
        const { actor, asking } = next;
        if (actor.committed !== undefined) this.#replies.answer(asking, actor.shard.number, actor.committed, actor);
      }
    }
    this.#arm();
  }
}

const MAX_ARM_MS = 3_600_000;

function listeningOf(actor: LiveActor): Listening {
  return (actor.listening ??= { listeners: undefined, published: undefined });
}

/** Tells whether the change differs from the last published one. The change counts as published from now on. */
function isNews(actor: LiveActor, change: string): boolean {
  const listening = listeningOf(actor);
  if (listening.published === change) return false;
  listening.published = change;
  return true;
}
