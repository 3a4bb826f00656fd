import {
  H,
  InvalidError,
  StaleError,
  decodeBody,
  decodeError,
  headerText,
  isName,
  taskLimits,
  type Failure,
  type Message,
} from "@ergon/core";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { taskOf } from "../dispatch/task-state.ts";
import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { Host } from "../shard/host.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Listeners } from "./listeners.ts";
import { roomForResponse } from "./record-room.ts";

/** Takes what agents say of their attempts. */
export class AnswerDesk {
  readonly #context: NodeContext;
  readonly #host: Host;
  readonly #dispatcher: Dispatcher;
  readonly #listeners: Listeners;

  constructor(context: NodeContext, host: Host, dispatcher: Dispatcher, listeners: Listeners) {
    this.#context = context;
    this.#host = host;
    this.#dispatcher = dispatcher;
    this.#listeners = listeners;
  }

  /** An agent's answer, or the server's word that nobody received the attempt. */
  take(shard: HostedShard, id: string, attempt: number, message: Message): void {
    const actor = shard.actors.get(id);
    const flight = actor?.flight;
    if (message.noResponders) {
      if (actor !== undefined && flight?.attempt === attempt) this.#dispatcher.undelivered(actor);
      return;
    }
    const kind = message.header(H.event);
    const agent = agentOf(message);
    if (actor === undefined || flight === undefined || flight.attempt !== attempt)
      return this.#stale(id, attempt, agent, message);
    const now = this.#context.clock.monotonic();
    flight.heardAt = now;
    if (flight.agent === undefined) this.#dispatcher.served(actor);
    else {
      const entry = this.#dispatcher.agents.get(flight.agent);
      if (entry !== undefined) entry.heardAt = now;
    }
    if (kind === "claimed" || kind === "heartbeat" || kind === "progress") {
      if (kind === "progress") {
        actor.progress = decodeBody(message.data, message.header(H.contentType));
        this.#listeners.progressed(actor);
      }
      if (this.#dispatcher.offered.delete(actor)) this.#host.send(actor, { type: "taken", attempt, agent });
      return;
    }
    const event = answerEvent(message, kind, attempt, agent);
    const accepted = this.#host.send(
      actor,
      event.type === "succeeded" ? this.#fitting(actor, attempt, event, message.data.length) : event,
      (refusal) => {
        if (message.reply !== undefined && refusal === undefined)
          this.#context.ports.bus.publish(message.reply, NO_BYTES);
      },
    );
    if (!accepted) this.#stale(id, attempt, agent, message);
  }

  /** A response shares its record with the payload: one that does not fit beside it is a final failure. */
  #fitting<T extends { type: string }>(
    actor: LiveActor,
    attempt: number,
    event: T,
    bytes: number,
  ): T | { type: "failed"; attempt: number; failure: Failure } {
    const most = roomForResponse(this.#context.ports.bus.maxMessageBytes, taskOf(this.#host.wake(actor)));
    if (bytes <= most) return event;
    const message = `the response has ${bytes} bytes; ${Math.max(0, most)} fit into the record beside the payload`;
    return { type: "failed", attempt, failure: { code: "RESPONSE_TOO_LARGE", message, retryable: false } };
  }

  #stale(id: string, attempt: number, agent: string | undefined, message: Message): void {
    if (message.reply !== undefined) {
      this.#listeners.fail(
        message.reply,
        new StaleError(`attempt ${attempt} of task ${id} is not the current one; its answer was not recorded`),
      );
    } else if (agent !== undefined) {
      this.#dispatcher.abort(agent, id, attempt, "lost");
    }
  }
}

/** Who answers. What is no agent's name is nobody's: it would become part of a subject. */
function agentOf(message: Message): string | undefined {
  const agent = message.header(H.agent);
  return agent !== undefined && isName(agent) ? agent : undefined;
}

/** An answer as the event that it is for the task. Its texts have bounds, so that every answer that is taken fits into the record. */
function answerEvent(
  message: Message,
  kind: string | undefined,
  attempt: number,
  agent: string | undefined,
): { type: string; [field: string]: unknown } {
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
    // The bytes are a slice of what came from the socket: a copy lets go of the rest.
    response: Buffer.from(message.data),
    contentType:
      contentType === undefined || contentType.length > taskLimits.contentTypeLength ? undefined : contentType,
  };
}
