import { type Message } from "@ergon/core";
import { parseAsking, type Asking } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { Replies } from "./replies.ts";
import { mayAnswer } from "./reply-to.ts";

export type Handler = (message: Message, asking: Asking) => void | Promise<void>;

/** Runs the handlers of requests. If a handler throws, the error answers the request. */
export class Guard {
  readonly #context: NodeContext;
  readonly #replies: Replies;
  readonly #open = new Set<Promise<void>>();

  constructor(context: NodeContext, replies: Replies) {
    this.#context = context;
    this.#replies = replies;
  }

  /** Serves a request, unless its reply-to is a subject where nodes do not answer. */
  serve(message: Message, handler: Handler): void {
    if (!this.allows(message)) return;
    try {
      this.#follow(message, handler(message, parseAsking(message)));
    } catch (error) {
      this.#failed(message, error);
    }
  }

  /** Runs the handler of a message that {@link Guard.allows} has accepted. */
  run(message: Message, handler: () => void | Promise<void>): void {
    try {
      this.#follow(message, handler());
    } catch (error) {
      this.#failed(message, error);
    }
  }

  /** Tells whether a node may answer on the message's reply-to. */
  allows(message: Message): boolean {
    if (mayAnswer(this.#context.names, message)) return true;
    const { subject, reply } = message;
    this.#context.logger.warn(
      { subject, reply },
      "a request's reply-to is a subject of Ergon or of the server; the request is ignored",
    );
    return false;
  }

  /** Resolves when the node has served every request that came until now. */
  async idle(): Promise<void> {
    await Promise.all(this.#open);
  }

  #follow(message: Message, pending: void | Promise<void>): void {
    if (pending === undefined) return;
    const served = pending.catch((error: unknown) => this.#failed(message, error));
    this.#open.add(served);
    void served.finally(() => this.#open.delete(served));
  }

  #failed(message: Message, error: unknown): void {
    if (!(error instanceof Error && "code" in error))
      this.#context.logger.error(
        { subject: message.subject, err: error },
        "a request failed unexpectedly; its sender gets INTERNAL",
      );
    this.#replies.fail(message.reply, error);
  }
}
