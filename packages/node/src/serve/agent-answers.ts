import { InvalidError, StaleError, taskLimits, type Message } from "@ergon/core";
import {
  H,
  decodeBody,
  decodeError,
  headerText,
  isMachineState,
  isName,
  liveStateOf,
  taskOf,
  type ActorState,
  type MachineRegistry,
  type TaskContext,
} from "@ergon/core/engine";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { isRecorded, wasRecorded, type AnswerEvent } from "../dispatch/recorded-answer.ts";
import type { NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import { embeddedIn, type HostedShard } from "../shard/hosted-shard.ts";
import type { Sending } from "../shard/hosting.ts";
import type { Listeners } from "./listeners.ts";
import { readStored } from "./read-stored.ts";
import { mostForResponse } from "./record-size.ts";
import type { Replies } from "./replies.ts";

export interface AgentAnswersParts {
  readonly host: Sending;
  readonly dispatcher: Dispatcher;
  readonly listeners: Listeners;
  readonly replies: Replies;
  readonly machines: MachineRegistry;
}

/** Takes the messages of agents about their attempts. */
export class AgentAnswers {
  readonly #context: NodeContext;
  readonly #parts: AgentAnswersParts;

  constructor(context: NodeContext, parts: AgentAnswersParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Takes an agent's answer, or the server's report that nobody received the attempt. */
  receive(shard: HostedShard, id: string, attempt: number, message: Message): void | Promise<void> {
    const actor = shard.find(id);
    const flight = actor?.flight;
    if (message.noResponders) {
      if (actor !== undefined && flight?.attempt === attempt) this.#parts.dispatcher.undelivered(actor);
      return;
    }
    const kind = message.header(H.event);
    const agent = agentOf(message);
    if (!isNews(kind)) this.#parts.dispatcher.aborts.answered(id, attempt);
    const isOut = flight === undefined ? !isNews(kind) && mayBeOut(actor, attempt) : flight.attempt === attempt;
    if (actor === undefined || !isOut) return this.#late(shard, id, attempt, message);
    if (flight !== undefined) this.#parts.dispatcher.heardOf(actor, flight);
    if (isNews(kind)) {
      if (kind === "progress") {
        this.#parts.dispatcher.flights.progressed(actor, decodeBody(message.data, message.header(H.contentType)));
        this.#parts.listeners.progressed(actor);
      }
      if (this.#parts.dispatcher.flights.offered.delete(actor))
        this.#parts.host.send(actor, { type: "taken", attempt, agent });
      return;
    }
    const { reply } = message;
    const event = this.#fitting(taskOf(this.#parts.host.wake(actor)), answerEvent(message, kind, attempt, agent));
    // An agent that has no slot for the attempt has not freed one either.
    if (flight !== undefined)
      this.#parts.dispatcher.flights.answered(flight, event.type !== "returned" || event["reason"] !== "AGENT_BUSY");
    const accepted = this.#parts.host.send(actor, event, (refusal) => {
      if (refusal === undefined) this.#parts.replies.acknowledge(reply);
    });
    if (!accepted) return this.#late(shard, id, attempt, message);
  }

  /** A response shares its record with the payload. A response that does not fit beside the payload becomes a final failure. */
  #fitting(task: TaskContext, event: AnswerEvent): AnswerEvent {
    if (event.type !== "succeeded") return event;
    const bytes = (event["response"] as Uint8Array).length;
    const most = mostForResponse(this.#context.ports.bus.maxMessageBytes, task);
    if (bytes <= most) return event;
    const message = `the response has ${bytes} bytes; ${Math.max(0, most)} fit into the record beside the payload`;
    return {
      type: "failed",
      attempt: event.attempt,
      failure: { code: "RESPONSE_TOO_LARGE", message, retryable: false },
    };
  }

  /**
   * An answer about an attempt that is not in flight. If the sender asks, the node tells it whether this is the recorded answer, whose acknowledgement
   * may have been lost.
   */
  #late(shard: HostedShard, id: string, attempt: number, message: Message): void | Promise<void> {
    const { reply } = message;
    const kind = message.header(H.event);
    const agent = agentOf(message);
    if (reply === undefined) {
      if (agent !== undefined) this.#parts.dispatcher.aborts.tell(agent, id, attempt, "lost");
      return;
    }
    if (isNews(kind)) return this.#stale(reply, id, attempt);
    const event = answerEvent(message, kind, attempt, agent);
    const instance = embeddedIn(id)?.id;
    const actor = shard.find(id) ?? (instance === undefined ? undefined : shard.actors.get(instance));
    return actor === undefined ? this.#compare(shard, id, event, reply) : this.#repeated(actor, id, event, reply);
  }

  /** `actor` is the task, or the instance whose record held it. */
  #repeated(actor: LiveActor, id: string, event: AnswerEvent, reply: string): void {
    if (!this.#isRecorded(this.#parts.host.wake(actor), id, event)) return this.#stale(reply, id, event.attempt);
    this.#parts.host.whenStored(actor, (refusal) => {
      if (refusal === undefined) this.#parts.replies.acknowledge(reply);
    });
  }

  async #compare(shard: HostedShard, id: string, event: AnswerEvent, reply: string): Promise<void> {
    const state = await readStored(this.#context, this.#parts.machines, shard, embeddedIn(id)?.id ?? id);
    if (state !== undefined && this.#isRecorded(state, id, event)) this.#parts.replies.acknowledge(reply);
    else this.#stale(reply, id, event.attempt);
  }

  #isRecorded(state: ActorState, id: string, event: AnswerEvent): boolean {
    const key = embeddedIn(id)?.key;
    if (isMachineState(state)) return key !== undefined && wasRecorded(state.meta.answered ?? [], key, event);
    const task = taskOf(state);
    return isTask(task) && isRecorded(task, this.#fitting(task, event));
  }

  #stale(reply: string, id: string, attempt: number): void {
    this.#parts.replies.fail(
      reply,
      new StaleError(`attempt ${attempt} of task ${id} is not the current one; its answer was not recorded`),
    );
  }
}

/** Tells whether an agent may have an attempt that this node does not count as in flight. The node gave up such an offer when it lost the connection. */
function mayBeOut(actor: LiveActor | undefined, attempt: number): boolean {
  if (actor?.state === undefined) return false;
  const task = taskOf(actor.state);
  return isTask(task) && task.attempt === attempt && liveStateOf(actor.state) === "unserved";
}

/** Actors of other machines have no attempts, and no answers. */
function isTask(task: Partial<TaskContext>): boolean {
  return task.attempt !== undefined && task.history !== undefined;
}

/** Tells whether the message reports on an attempt that continues. */
function isNews(kind: string | undefined): boolean {
  return kind === "claimed" || kind === "heartbeat" || kind === "progress";
}

/** Returns the agent that answers. The node ignores an invalid name, because the name would become part of a subject. */
function agentOf(message: Message): string | undefined {
  const agent = message.header(H.agent);
  return agent !== undefined && isName(agent) ? agent : undefined;
}

/** Makes an event for the task from an answer. The node limits its texts, so that every answer it takes fits into the record. */
function answerEvent(
  message: Message,
  kind: string | undefined,
  attempt: number,
  agent: string | undefined,
): AnswerEvent {
  if (kind === "returned")
    return { type: "returned", attempt, reason: headerText(message.header(H.reason) ?? "handed back") };
  const error = decodeError(message);
  if (kind === "failed" || error !== undefined) {
    const failure = {
      code: (error?.code ?? "AGENT_FAILED").slice(0, 64),
      message: (error?.message ?? "the agent gave no reason").slice(0, 1_024),
      retryable: error === undefined || error.kind === "retryable" || error.kind === "unavailable",
    };
    return { type: "failed", attempt, agent, failure, retryAfterMs: error?.retryAfterMs };
  }
  if (kind !== undefined && kind !== "succeeded")
    throw new InvalidError(
      "INVALID_OPTION",
      `${H.event}: "${headerText(kind).slice(0, 64)}" is not an event of an attempt`,
    );
  const contentType = message.header(H.contentType);
  return {
    type: "succeeded",
    attempt,
    agent,
    // The bytes are a slice of a buffer from the socket, and a copy frees the rest of that buffer.
    response: Buffer.from(message.data),
    contentType:
      contentType === undefined || contentType.length > taskLimits.contentTypeLength ? undefined : contentType,
  };
}
