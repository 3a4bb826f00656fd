import { type Message, type Subscription } from "@ergon/core";
import { JSON_TYPE, H, encodeBody } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import { mayAnswer } from "./reply-to.ts";

const NAME = "ergon-node";

export interface MicroServiceOptions {
  readonly version: string;
  readonly startedAt: string;
  readonly metadata: () => Readonly<Record<string, string>>;
}

/** Makes the node visible to `nats micro ls`, `info` and `stats` (NATS ADR-32). */
export class MicroService {
  readonly #context: NodeContext;
  readonly #options: MicroServiceOptions;
  #subscriptions: Subscription[] = [];

  constructor(context: NodeContext, options: MicroServiceOptions) {
    this.#context = context;
    this.#options = options;
  }

  start(): void {
    const { ports, node } = this.#context;
    const describe: Readonly<Record<string, () => object>> = {
      PING: () => this.#identity("ping_response"),
      INFO: () => ({
        ...this.#identity("info_response"),
        description: "hosts durable tasks",
        endpoints: this.#endpoints(),
      }),
      STATS: () => ({
        ...this.#identity("stats_response"),
        started: this.#options.startedAt,
        endpoints: this.#endpoints(),
      }),
    };
    for (const [verb, body] of Object.entries(describe)) {
      for (const subject of [`$SRV.${verb}`, `$SRV.${verb}.${NAME}`, `$SRV.${verb}.${NAME}.${node}`]) {
        this.#subscriptions.push(ports.bus.subscribe(subject, (message) => this.#answer(message, body())));
      }
    }
  }

  /** Resolves when this node has answered its open requests. */
  async stop(): Promise<void> {
    await Promise.all(this.#subscriptions.map((subscription) => subscription.drain()));
  }

  #answer(message: Message, body: object): void {
    if (message.reply !== undefined && mayAnswer(this.#context.names, message))
      this.#context.ports.bus.publish(message.reply, encodeBody(body, JSON_TYPE), {
        headers: { [H.contentType]: JSON_TYPE },
      });
  }

  #identity(type: string): object {
    return {
      type: `io.nats.micro.v1.${type}`,
      name: NAME,
      id: this.#context.node,
      version: this.#options.version,
      metadata: this.#options.metadata(),
    };
  }

  #endpoints(): object[] {
    const { names } = this.#context;
    const metadata = { namespace: names.namespace };
    return [
      { name: "submit", subject: names.submit("*"), queue_group: "ergon", metadata },
      { name: "batch", subject: names.batch, queue_group: "ergon", metadata },
    ];
  }
}
