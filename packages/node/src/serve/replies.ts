import { TerminalError, type Headers } from "@ergon/core";
import {
  H,
  JSON_TYPE,
  encodeBody,
  encodeError,
  isMachineState,
  readable,
  taskOf,
  type ActorState,
  type Asking,
} from "@ergon/core/engine";

import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { Settled } from "../shard/writing.ts";
import { describe, describeEmbedded, hasEnded, idOf, statusText, type Extra } from "./describe.ts";
import { refused } from "./refusals.ts";
import { isMet } from "./wait-target.ts";

/** Sends answers to requests. A request that wants no answer gets none. */
export class Replies {
  readonly #context: NodeContext;
  readonly #waitingFor: (state: ActorState) => string | undefined;

  /** `waitingFor` explains why a live task waits, if its record does not say so. */
  constructor(context: NodeContext, waitingFor: (state: ActorState) => string | undefined) {
    this.#context = context;
    this.#waitingFor = waitingFor;
  }

  /** Answers with a task or an instance in its stored `state`. `actor` is the live actor, if there is one, so that the answer contains its progress too. */
  answer(asking: Asking, shard: number, state: ActorState, actor?: LiveActor): void {
    if (asking.reply === undefined) return;
    const ended = hasEnded(state);
    const headers: Record<string, string> = {
      [H.status]: statusText(state),
      [H.task]: idOf(state),
      [H.shard]: String(shard),
      [H.node]: this.#context.node,
      [H.final]: ended ? "true" : "false",
    };
    if (asking.until !== undefined) headers[H.untilMet] = String(isMet(asking.until, state));
    if (asking.raw && ended) return this.#answerRaw(asking.reply, resultOf(state), headers);
    headers[H.contentType] = asking.accept;
    const extra = actor === undefined ? undefined : this.#extraOf(actor, state);
    this.#publish(asking.reply, encodeBody(describe(state, extra), asking.accept), headers);
  }

  /** Answers with a body of another kind. */
  send({ reply, accept }: Asking, body: unknown): void {
    if (reply === undefined) return;
    this.#context.ports.bus.publish(reply, encodeBody(body, accept), { headers: { [H.contentType]: accept } });
  }

  /** Tells the sender of a message that the outcome is stored. */
  acknowledge(reply: string | undefined): void {
    if (reply !== undefined) this.#context.ports.bus.publish(reply, NO_BYTES);
  }

  fail(reply: string | undefined, error: unknown): void {
    if (reply === undefined) return;
    const { data, headers } = encodeError(error);
    const { bus } = this.#context.ports;
    // If even the list of faults is too large for this server, the headers name the first fault.
    bus.publish(reply, data.length > bus.maxMessageBytes ? NO_BYTES : data, { headers });
  }

  /** Continues a request when its actor is stored. A refusal of the store and an error of `run` are answers too. */
  onceStored(reply: string | undefined, run: () => void | Promise<void>): Settled {
    return (refusal) => {
      if (refusal !== undefined) return this.fail(reply, refused(refusal));
      run()?.catch((error: unknown) => this.fail(reply, error));
    };
  }

  #extraOf(actor: LiveActor, state: ActorState): Extra {
    if (isMachineState(state)) return { tasks: describeEmbedded(actor) };
    return { progress: actor.flight?.progress, reason: this.#waitingFor(actor.state ?? state) };
  }

  #answerRaw(reply: string, { data, contentType, error }: Result, headers: Record<string, string>): void {
    if (error === undefined) {
      if (contentType !== undefined) headers[H.contentType] = contentType;
      return this.#publish(reply, data, headers);
    }
    const encoded = encodeError(error);
    this.#publish(reply, encoded.data, { ...headers, ...encoded.headers });
  }

  /** Replaces an answer that NATS cannot send by the reason. A view in JSON can be larger than the response in it. */
  #publish(reply: string, data: Uint8Array, headers: Headers): void {
    try {
      this.#context.ports.bus.publish(reply, data, { headers });
    } catch (error) {
      this.fail(reply, error);
    }
  }
}
interface Result {
  readonly data: Uint8Array;
  readonly contentType: string | undefined;
  readonly error: Error | undefined;
}

/** Returns the result of an ended actor: a task's response, an instance's output, or the reason why there is none. */
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
