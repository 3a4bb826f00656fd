import {
  H,
  JSON_TYPE,
  encodeBody,
  encodeError,
  TerminalError,
  isMachineState,
  readable,
  type ActorState,
  stateText,
  type Headers,
  type MachineRecordState,
  type Subscription,
} from "@ergon/core";

import { taskOf } from "../dispatch/task-state.ts";
import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { Listener, Listening, LiveActor, Until } from "../shard/actor.ts";
import { TimerQueue, UNQUEUED } from "../shard/timer-queue.ts";
import { describe, describeEmbedded, hasEnded, idOf, statusText, type Extra } from "./describe.ts";

const KEEPALIVE_MS = 5_000;

export interface Asking {
  readonly reply: string;
  readonly accept: string;
  /** Answer a success with the response itself. */
  readonly raw: boolean;
  /** What the asker waits for, where that is not the end: the reply says whether it is so. */
  readonly until?: Until | undefined;
}

/** Tells of actors: replies to those who asked, news to those who wait or watch, events to whoever listens. */
export class Listeners {
  readonly #context: NodeContext;
  readonly #bounds = new TimerQueue<Listener>();
  /** Watchers that were sent a keepalive, by the number on which the server says that they are gone. */
  readonly #pinged = new Map<string, Listener>();
  #pings = 0;
  #gone: Subscription | undefined;
  #armed: unknown;
  #armedFor = Number.POSITIVE_INFINITY;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  start(): void {
    const { ports, names, node } = this.#context;
    this.#gone = ports.bus.subscribe(names.nodeVerb(node, "watcher.*"), ({ subject, noResponders }) => {
      const listener = this.#pinged.get(subject);
      this.#pinged.delete(subject);
      if (noResponders && listener !== undefined) this.#remove(listener);
    });
  }

  /** Answers with the task as it stands. */
  answer(to: Asking, shard: number, state: ActorState, extra?: Extra): void {
    const { node } = this.#context;
    const status = statusText(state);
    const ended = hasEnded(state);
    const headers: Record<string, string> = {
      [H.status]: status,
      [H.task]: idOf(state),
      [H.shard]: String(shard),
      [H.node]: node,
      [H.final]: ended ? "true" : "false",
    };
    if (to.until !== undefined) headers[H.untilMet] = String(to.until(state));
    if (to.raw && ended) return this.#answerRaw(to, resultOf(state), headers);
    headers[H.contentType] = to.accept;
    this.#send(to.reply, encodeBody(describe(state, extra), to.accept), headers);
  }

  fail(reply: string | undefined, error: unknown): void {
    if (reply === undefined) return;
    const { data, headers } = encodeError(error);
    const { bus } = this.#context.ports;
    // Where even the faults are too many for this server, the headers say the first.
    bus.publish(reply, data.length > bus.maxMessageBytes ? NO_BYTES : data, { headers });
  }

  /** Answers when the task has ended, or after `boundMs` as it stands then. */
  wait(actor: LiveActor, to: Asking, boundMs: number, until?: Until): void {
    this.#add({ ...to, actor, kind: "wait", until, due: 0, position: UNQUEUED }, boundMs);
  }

  /** Sends the task at each of its changes until it has ended. */
  watch(actor: LiveActor, to: Asking): void {
    this.#add({ ...to, actor, kind: "watch", due: 0, position: UNQUEUED }, KEEPALIVE_MS);
  }

  /** The actor's record was stored. */
  stored(actor: LiveActor, ended: boolean): void {
    const { committed: state } = actor;
    if (state === undefined) return;
    this.#publishEvent(actor, state);
    const listeners = actor.listening?.listeners;
    if (listeners === undefined) return;
    for (const listener of listeners.slice()) {
      const over = ended || listener.until?.(state) === true;
      if (!over && listener.kind === "wait") continue;
      this.answer(listener, actor.shard.number, state, this.#extraOf(actor));
      if (over) this.#remove(listener);
      else this.#bound(listener, KEEPALIVE_MS);
    }
  }

  /** Progress is told to those who watch, and kept nowhere else. */
  progressed(actor: LiveActor): void {
    for (const listener of actor.listening?.listeners ?? []) {
      if (listener.kind === "watch" && actor.committed !== undefined)
        this.answer(listener, actor.shard.number, actor.committed, this.#extraOf(actor));
    }
  }

  /** The actor is no longer here; who listened asks again where it is. */
  dropped(actor: LiveActor, error?: unknown): void {
    for (const listener of actor.listening?.listeners?.slice() ?? []) {
      this.#remove(listener);
      if (error !== undefined) this.fail(listener.reply, error);
    }
  }

  stop(): void {
    this.#gone?.unsubscribe();
    this.#context.clock.cancel(this.#armed);
  }

  #answerRaw(to: Asking, { data, contentType, error }: Result, headers: Record<string, string>): void {
    if (error === undefined) {
      if (contentType !== undefined) headers[H.contentType] = contentType;
      return this.#send(to.reply, data, headers);
    }
    const encoded = encodeError(error);
    this.#send(to.reply, encoded.data, { ...headers, ...encoded.headers });
  }

  /** What cannot be sent as it is (a view in JSON can be larger than the response in it) is answered with the reason. */
  #send(reply: string, data: Uint8Array, headers: Headers): void {
    try {
      this.#context.ports.bus.publish(reply, data, { headers });
    } catch (error) {
      this.fail(reply, error);
    }
  }

  #extraOf(actor: LiveActor): Extra {
    return actor.embedded === undefined ? { progress: actor.flight?.progress } : { tasks: describeEmbedded(actor) };
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
        if (next.actor.committed !== undefined)
          this.answer(next, next.actor.shard.number, next.actor.committed, this.#extraOf(next.actor));
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

interface Result {
  readonly data: Uint8Array;
  readonly contentType: string | undefined;
  readonly error: Error | undefined;
}

/** What an ended actor leaves: a task's response, an instance's output, or why there is none. */
function resultOf(state: ActorState): Result {
  const status = statusText(state);
  const { failure, reason } = isMachineState(state) ? state.meta : taskOf(state);
  if (status === "failed")
    return {
      data: NO_BYTES,
      contentType: undefined,
      error: new TerminalError(failure?.code ?? "INTERNAL", failure?.message ?? ""),
    };
  if (status !== "succeeded")
    return {
      data: NO_BYTES,
      contentType: undefined,
      error: new TerminalError("TASK_CANCELLED", reason ?? "cancelled"),
    };
  if (isMachineState(state)) {
    const output = readable(state.persisted.output);
    return {
      data: output === undefined ? NO_BYTES : encodeBody(output, JSON_TYPE),
      contentType: JSON_TYPE,
      error: undefined,
    };
  }
  const { response, responseType } = taskOf(state);
  return { data: response ?? NO_BYTES, contentType: responseType, error: undefined };
}
