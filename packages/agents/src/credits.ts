import { InvalidError } from "@ergon/core";
import type { Bus, Clock, Logger, Message } from "@ergon/core";
import { H, JSON_TYPE, decodeBody, encodeBody, encodeError, isId } from "@ergon/core/engine";
import type { Names } from "@ergon/core/engine";

import { parseAbortReason } from "./abort.ts";
import type { AbortReason } from "./abort.ts";
import type { Listen } from "./answers.ts";
import type { CreditChange } from "./capacity.ts";
import type { Lane } from "./driver.ts";
import { Nodes } from "./nodes.ts";

export interface CreditsOptions {
  readonly agent: string;
  readonly names: Names;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly lanes: ReadonlyMap<string, Lane>;
  readonly listen: Listen;
  /** Returns whether the attempt runs here. */
  abort(task: string, attempt: number, reason: AbortReason): boolean;
  /** Another running agent has the same id; the named incarnation must stop. */
  replaced(incarnation: unknown): void;
  /** This agent has heard of a new node. */
  met(node: string): void;
}

const EMPTY = new Uint8Array();

/** The messages between nodes and an agent beside the work: credits, aborts, pings, and beats. */
export class Credits {
  readonly #options: CreditsOptions;
  readonly #nodes: Nodes;

  constructor(options: CreditsOptions) {
    this.#options = options;
    this.#nodes = new Nodes(options.clock.monotonic());
  }

  start(): void {
    const { agent, listen, names } = this.#options;
    listen(names.control(agent), (message) => this.#control(message));
    listen(names.roll, (message) => this.#roll(message));
  }

  /** A message from a node, with any content. */
  heard(node: string): void {
    if (this.#nodes.heard(node, this.#options.clock.monotonic())) this.#options.met(node);
  }

  /** Frees the idle credits of silent nodes, and repeats messages without a reply. */
  tick(): void {
    const now = this.#options.clock.monotonic();
    for (const node of this.#nodes.silent(now)) this.#gone(node);
    const isHeard = (node: string): boolean => this.#nodes.isHeard(node, now);
    for (const lane of this.#options.lanes.values()) this.publish(lane, lane.capacity.review(isHeard));
  }

  /** Tells nodes of the changes. */
  publish(lane: Lane, changes: readonly CreditChange[]): void {
    const { agent, bus, names } = this.#options;
    for (const { node, ...change } of changes) {
      const body = { agent, driver: lane.driver, ...change };
      bus.publish(names.nodeVerb(node, "credit"), encodeBody(body, JSON_TYPE));
    }
  }

  #control(message: Message): void {
    const event = message.header(H.event);
    try {
      switch (event) {
        case "ping":
          return this.#reply(message, EMPTY);
        case "abort":
          return this.#abort(message);
        case "reserve":
          return this.#reserve(message);
        case "release":
          return this.#release(message);
        case "replaced":
          this.#options.replaced(
            (decodeBody(message.data, JSON_TYPE) as { incarnation?: unknown } | null)?.incarnation,
          );
          return this.#reply(message, EMPTY);
        default:
          throw new InvalidError(
            "INVALID_BODY",
            `the control event "${event ?? ""}" is unknown; an agent of another protocol version may know it`,
          );
      }
    } catch (error) {
      this.#options.logger.warn({ event, error }, "the agent refused a malformed control message");
      const { data, headers } = encodeError(error);
      if (message.reply !== undefined) this.#options.bus.publish(message.reply, data, { headers });
    }
  }

  #abort(message: Message): void {
    const task = message.header(H.task) ?? "";
    const node = message.header(H.node) ?? "";
    const reason = parseAbortReason(message.header(H.reason));
    const runs = this.#options.abort(task, Number(message.header(H.attempt)), reason);
    // The node has given up the credit of an attempt whose answer is in flight: the agent tells it that it still holds the credit.
    if (!runs && isId(node))
      for (const lane of this.#options.lanes.values()) this.publish(lane, [lane.capacity.holding(node)]);
    this.#reply(message, EMPTY);
  }

  #reserve(message: Message): void {
    const body = this.#body(message);
    const want = requireCount("want", body.want);
    const { granted, changes } = body.lane.capacity.reserve(body.node, want, priorityOf(body.priority));
    this.#reply(message, encodeBody({ granted }, JSON_TYPE));
    this.publish(body.lane, changes);
  }

  #release(message: Message): void {
    const body = this.#body(message);
    const count = requireCount("count", body.count);
    const want = body.want === undefined ? undefined : requireCount("want", body.want);
    this.publish(body.lane, body.lane.capacity.release(body.node, count, want, priorityOf(body.priority)));
    this.#reply(message, EMPTY);
  }

  #body(message: Message): { node: string; lane: Lane; want?: unknown; count?: unknown; priority?: unknown } {
    const body = (decodeBody(message.data, message.header(H.contentType)) ?? {}) as Record<string, unknown>;
    const { node, driver, want, count, priority } = body;
    // The id becomes part of a subject.
    if (typeof node !== "string" || !isId(node)) throw new InvalidError("INVALID_BODY", "node must be a node's id");
    const lane = typeof driver === "string" ? this.#options.lanes.get(driver) : undefined;
    if (lane === undefined)
      throw new InvalidError("INVALID_DRIVER", `this agent does not serve driver "${String(driver)}"`);
    this.heard(node);
    return { node, lane, want, count, priority };
  }

  #roll(message: Message): void {
    const { node, state } = (decodeBody(message.data, message.header(H.contentType)) ?? {}) as {
      node?: unknown;
      state?: unknown;
    };
    if (typeof node !== "string" || !isId(node)) return;
    if (state !== "gone") return this.heard(node);
    this.#nodes.gone(node);
    this.#gone(node);
  }

  #gone(node: string): void {
    for (const lane of this.#options.lanes.values()) this.publish(lane, lane.capacity.gone(node));
  }

  #reply(message: Message, data: Uint8Array): void {
    if (message.reply !== undefined) this.#options.bus.publish(message.reply, data);
  }
}

function priorityOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 9) return value;
  throw new InvalidError("INVALID_BODY", `priority must be a whole number from 0 to 9, not ${JSON.stringify(value)}`);
}

function requireCount(field: string, value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new InvalidError("INVALID_BODY", `${field} must be a whole number, not ${JSON.stringify(value)}`);
}
