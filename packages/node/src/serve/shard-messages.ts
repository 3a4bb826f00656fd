import { InvalidError, UnavailableError, type Message } from "@ergon/core";
import {
  H,
  actorVerbs,
  attemptKey,
  parseAsking,
  requireActorId,
  requireHeaders,
  requireId,
  shardOf,
  type Asking,
} from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import { embeddedIn, type HostedShard } from "../shard/hosted-shard.ts";
import { decodeAdmission } from "./admissions.ts";
import type { AgentAnswers } from "./agent-answers.ts";
import type { Batches } from "./batches.ts";
import { parseCancellation, type Cancellations } from "./cancellations.ts";
import type { Forwarder } from "./forwarder.ts";
import type { Guard } from "./guard.ts";
import type { HeldBatches } from "./held-batches.ts";
import type { InstanceEvents } from "./instance-events.ts";
import { decodeStart, type InstanceStarts } from "./instance-starts.ts";
import type { Intake } from "./intake.ts";
import type { NewWork } from "./new-work.ts";
import type { Queries } from "./queries.ts";
import type { Repeats } from "./repeats.ts";
import type { Replies } from "./replies.ts";
import type { Tells } from "./tells.ts";
import { Turns, inTurn } from "./turns.ts";

/** The verbs whose senders repeat their messages. */
const repeated: ReadonlySet<string> = new Set(["reply", "tell", "release", "discard"]);
/** The most messages that wait for one shard. Such a number arrives within seconds under load. */
const MOST_BUFFERED = 5_000;

export interface ShardMessagesParts {
  readonly answers: AgentAnswers;
  readonly batches: Batches;
  readonly cancellations: Cancellations;
  readonly events: InstanceEvents;
  readonly forwarder: Forwarder;
  readonly guard: Guard;
  readonly held: HeldBatches;
  readonly hosted: ReadonlyMap<number, HostedShard>;
  readonly intake: Intake;
  readonly queries: Queries;
  readonly repeats: Repeats;
  readonly replies: Replies;
  readonly starts: InstanceStarts;
  readonly tells: Tells;
  readonly work: NewWork;
}

/** Serves the subjects of the shards that this node hosts. It finds the part of the node that answers a message. */
export class ShardMessages {
  readonly #context: NodeContext;
  readonly #parts: ShardMessagesParts;
  readonly #turns: Turns;

  constructor(context: NodeContext, parts: ShardMessagesParts) {
    this.#context = context;
    this.#parts = parts;
    this.#turns = new Turns(context.clock, parts.forwarder.waiting);
  }

  /** Takes a message on the subject of a hosted shard. */
  receive(shard: HostedShard, message: Message): void {
    const { forwarder, guard } = this.#parts;
    forwarder.waiting.leave(message);
    if (!guard.allows(message)) return;
    // The report that nobody received an attempt concerns only this process. A suspended shard takes it at once, and a loading shard ignores it.
    const takes = shard.phase === "serving" || (message.noResponders && shard.phase === "suspended");
    if (!takes) {
      if (!message.noResponders) this.#buffer(shard, message);
      return;
    }
    const { verb, id, attempt } = this.#context.names.parseShard(message.subject);
    guard.run(message, () =>
      verb === "reply"
        ? this.#answer(shard, id, attempt, message)
        : this.serve(shard, verb, id, message, parseAsking(message)),
    );
  }

  /** Brings the unserved messages of a shard that left to its next owner, which may be this node again. */
  handOn(shard: HostedShard): void {
    const { forwarder, hosted } = this.#parts;
    forwarder.handOn(shard, (verb, id, message) => {
      const again = hosted.get(shard.number);
      if (again?.phase !== "serving") return false;
      this.serveKept(again, verb, id, message);
      return true;
    });
  }

  /** Takes a message that waited until the shard had an owner, which is this node now. */
  serveKept(shard: HostedShard, verb: string, id: string, message: Message): void {
    this.#parts.guard.serve(message, (_, asking) => {
      if (verb !== "reply") return this.serve(shard, verb, id, message, asking);
      const [task = "", attempt = ""] = id.split(".");
      return this.#answer(shard, task, Number(attempt), message);
    });
  }

  /** Serves a request to an actor of a shard that this node serves, at once or in its turn. */
  serve(shard: HostedShard, verb: string, id: string, message: Message, asking: Asking): void | Promise<void> {
    if (!inTurn.has(verb)) return this.#route(shard, verb, id, message, asking);
    return this.#turns.run(id, message, (kept) =>
      shard.phase === "serving"
        ? this.#route(shard, verb, id, kept, asking)
        : this.#parts.forwarder.forward(shard.number, verb, id, kept),
    );
  }

  /** Takes an agent's answer. The answer for an embedded task becomes a step of the instance that holds it. */
  #answer(shard: HostedShard, id: string, attempt: number, message: Message): void | Promise<void> {
    const { answers, forwarder } = this.#parts;
    const instance = embeddedIn(id);
    if (instance === undefined || message.noResponders) return answers.receive(shard, id, attempt, message);
    return this.#turns.run(instance.id, message, (kept) =>
      shard.phase === "serving"
        ? answers.receive(shard, id, attempt, kept)
        : forwarder.forward(shard.number, "reply", attemptKey(id, attempt), kept),
    );
  }

  /**
   * Keeps a message until the shard serves. Above a limit it refuses the messages of senders that ask again, because a shard may take long without its
   * store.
   */
  #buffer(shard: HostedShard, message: Message): void {
    const { intake, forwarder, replies } = this.#parts;
    try {
      // Agents and nodes repeat their messages until a node takes them. Every other sender hears the reason.
      if (!repeated.has(this.#context.names.parseShard(message.subject).verb)) intake.requireStore(shard);
      if (shard.buffer.length >= MOST_BUFFERED && message.reply !== undefined) {
        const text = `shard ${shard.number} cannot serve at the moment; ask again`;
        throw new UnavailableError("SHARD_MOVED", text, { retryAfterMs: 500 });
      }
      shard.buffer.push(forwarder.waiting.enter(message));
    } catch (error) {
      replies.fail(message.reply, error);
    }
  }

  #route(shard: HostedShard, verb: string, id: string, message: Message, asking: Asking): void | Promise<void> {
    requireActorId(id);
    const number = shardOf(id, this.#context.ports.records.shards);
    if (number !== shard.number)
      throw new InvalidError("INVALID_SUBJECT", `the shard of ${id} is ${number}, not ${shard.number}`);
    if ((actorVerbs as readonly string[]).includes(verb)) requireHeaders(message.headers(), verb);
    const { batches, cancellations, events, held, intake, queries, starts, tells } = this.#parts;
    switch (verb) {
      case "get":
      case "wait":
      case "watch":
        return queries.serve(shard, verb, id, asking);
      case "cancel":
      case "end":
        return cancellations.serve(shard, id, parseCancellation(verb, message), asking);
      case "retry":
        return this.#retry(shard, id, message, asking);
      case "send":
      case "can":
      case "migrate":
        return events.serve(shard, verb, id, message, asking);
      case "admit":
        return this.#admit(shard, id, message, asking);
      case "begin":
        intake.requireCapacity();
        return starts.serve(shard, id, decodeStart(message.data), asking, false);
      case "tell":
        return tells.serve(shard, id, message);
      case "batch":
        intake.requireCapacity();
        return batches.coordinate(message, asking);
      case "release":
        return held.decided(textOf(message), "admitted");
      case "discard":
        return held.decided(textOf(message), "refused");
      default:
        throw new InvalidError("INVALID_SUBJECT", `"${verb}" is not a verb of a shard`);
    }
  }

  /** Takes a task that another node received, because its shard is here. */
  #admit(shard: HostedShard, id: string, message: Message, asking: Asking): void {
    this.#parts.intake.requireCapacity();
    const { spec, batch } = decodeAdmission(message.data, id);
    this.#parts.work.admit(shard, spec, false, asking, batch);
  }

  async #retry(shard: HostedShard, id: string, message: Message, asking: Asking): Promise<void> {
    const { intake, repeats, work } = this.#parts;
    intake.requireOpen();
    const newId = message.header(H.id);
    if (newId !== undefined) requireId(newId);
    const repetition = await repeats.of(shard, id, newId);
    const destination = intake.destinationOf(repetition.id);
    if (repetition.kind === "instance") work.start(destination, repetition.spec, false, message, asking);
    else work.submit(destination.shard, repetition.spec, false, message, asking);
  }
}

function textOf(message: Message): string {
  return Buffer.from(message.data).toString();
}
