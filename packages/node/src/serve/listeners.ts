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

/** Tells what becomes of actors: answers to requests that wait, each change to watchers, events to all subscribers. */
export class Listeners {
  readonly #context: NodeContext;
  readonly #replies: Replies;
  readonly #bounds = new TimerQueue<Listener>();
  /** Watchers that were sent a keepalive, by the number on which the server says that they are gone. */
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

  /** Answers a request with an actor: now, or when what the request waits for has come, or its time is over. */
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

  /** The actor's record was stored. */
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

  /** Progress is told to those who watch, and kept nowhere else. */
  progressed(actor: LiveActor): void {
    for (const { kind, asking } of actor.listening?.listeners ?? [])
      if (kind === "watch" && actor.committed !== undefined)
        this.#replies.answer(asking, actor.shard.number, actor.committed, actor);
  }

  /** The actor is no longer here; who listened asks again where it is. */
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
    // One commit may hold several changes: that an attempt was lost and the next has begun is told as the latter.
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

  /** A watcher that has left is known by the server's 503, which comes back on the keepalive's reply-to. */
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

/** Whether the change is another than the one that was published last; it counts as published from now on. */
function isNews(actor: LiveActor, change: string): boolean {
  const listening = listeningOf(actor);
  if (listening.published === change) return false;
  listening.published = change;
  return true;
}
