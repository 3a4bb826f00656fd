import {
  H,
  InvalidError,
  MSGPACK_TYPE,
  QUEUE,
  UnavailableError,
  actorVerbs,
  parseStartMessage,
  parseSubmitMessage,
  requireHeaders,
  requireActorId,
  requireId,
  shardOf,
  type MachineRegistry,
  type Message,
  type StartSpec,
  type Subscription,
  type TaskSpec,
} from "@ergon/core";

import type { NodeContext } from "../node-context.ts";
import { embeddedIn, type HostedShard } from "../shard/hosted-shard.ts";
import { decodeAdmission, encodeAdmission, type AdmissionDesk } from "./admission-desk.ts";
import type { AnswerDesk } from "./answer-desk.ts";
import type { BatchDesk } from "./batch-desk.ts";
import type { ClusterDesk } from "./cluster-desk.ts";
import type { Forwarder } from "./forwarder.ts";
import type { HeldBatches } from "./held-batches.ts";
import type { Intake } from "./intake.ts";
import type { Listeners } from "./listeners.ts";
import { decodeStart, encodeStart, type MachineDesk } from "./machine-desk.ts";
import { mayAnswer } from "./reply-to.ts";
import type { TaskDesk } from "./task-desk.ts";
import { Turns, inTurn } from "./turns.ts";

/** Verbs whose senders repeat them. */
const repeated: ReadonlySet<string> = new Set(["reply", "tell", "release", "discard"]);
/** Messages that wait for one shard to serve: what comes in seconds under load. */
const MOST_BUFFERED = 5_000;

export interface RequestRouterParts {
  readonly intake: Intake;
  readonly admissions: AdmissionDesk;
  readonly answers: AnswerDesk;
  readonly tasks: TaskDesk;
  readonly instances: MachineDesk;
  readonly machines: MachineRegistry;
  readonly batches: BatchDesk;
  readonly held: HeldBatches;
  readonly cluster: ClusterDesk;
  readonly forwarder: Forwarder;
  readonly listeners: Listeners;
  readonly hosted: ReadonlyMap<number, HostedShard>;
}

/** Everything that any node serves, and the shards' own subjects: takes a message, finds who answers it. */
export class RequestRouter {
  readonly #context: NodeContext;
  readonly #parts: RequestRouterParts;
  #subscriptions: Subscription[] = [];
  /** Requests that are being served. */
  readonly #open = new Set<Promise<void>>();
  readonly #turns: Turns;

  constructor(context: NodeContext, parts: RequestRouterParts) {
    this.#context = context;
    this.#parts = parts;
    this.#turns = new Turns(context.clock, parts.forwarder.waiting);
  }

  start(): void {
    const { ports, names } = this.#context;
    const serve = (subject: string, take: (message: Message) => void | Promise<void>): void => {
      this.#subscriptions.push(ports.bus.subscribe(subject, (message) => this.guard(message, take), { queue: QUEUE }));
    };
    const submitRoot = names.submit("").length;
    serve(names.submit("*"), (message) => this.#submit(message, message.subject.slice(submitRoot)));
    // Who does not know a machine does not start it.
    for (const machine of this.#parts.machines.startable())
      serve(names.start(machine), (message) => this.#start(message, machine));
    serve(names.batch, (message) => this.#parts.batches.take(message));
    for (const verb of actorVerbs) {
      const root = names.verb(verb, "").length;
      serve(names.verb(verb, "*"), (message) => this.#verb(verb, message.subject.slice(root), message));
    }
    const clusterRoot = names.cluster("").length;
    serve(names.cluster("*"), (message) => this.#parts.cluster.take(message.subject.slice(clusterRoot), message));
  }

  /** Takes no more new work. Resolves when all requests that the server has given to this node are served. */
  async stop(): Promise<void> {
    const subscriptions = this.#subscriptions;
    this.#subscriptions = [];
    await Promise.all(subscriptions.map((subscription) => subscription.drain()));
    this.#parts.intake.close();
    await Promise.all(this.#open);
  }

  /** A message on the subject of a hosted shard. */
  shardMessage(shard: HostedShard, message: Message): void {
    this.#parts.forwarder.waiting.leave(message);
    if (!mayAnswer(this.#context.names, message)) return this.#ignore(message);
    // That nobody received an attempt is a fact of this process alone: it is taken in at once, and is nothing to a shard that is being loaded.
    const takes = shard.phase === "serving" || (message.noResponders && shard.phase === "suspended");
    if (!takes) {
      if (!message.noResponders) this.#buffer(shard, message);
      return;
    }
    const { verb, id, attempt } = this.#context.names.parseShard(message.subject);
    if (verb === "reply") return this.#run(message, () => this.#answer(shard, id, attempt, message));
    this.#run(message, () => this.#onShard(shard, verb, id, message));
  }

  /** An agent's answer. What follows from one for an embedded task is a step of the instance that it is in. */
  #answer(shard: HostedShard, id: string, attempt: number, message: Message): void | Promise<void> {
    const instance = embeddedIn(id);
    if (instance === undefined || message.noResponders) return this.#parts.answers.take(shard, id, attempt, message);
    return this.#turns.run(instance.id, message, (kept) =>
      shard.phase === "serving"
        ? this.#parts.answers.take(shard, id, attempt, kept)
        : this.#parts.forwarder.forward(shard.number, "reply", `${id}.${attempt}`, kept),
    );
  }

  /** Keeps a message until the shard serves. Of very many, those whose senders ask again are given back: without its store a shard may be long in coming. */
  #buffer(shard: HostedShard, message: Message): void {
    const { listeners, forwarder } = this.#parts;
    try {
      // Agents and nodes repeat what they have to say until it is taken; everybody else is told why nothing is.
      if (!repeated.has(this.#context.names.parseShard(message.subject).verb)) this.#parts.intake.requireStore(shard);
      if (shard.buffer.length >= MOST_BUFFERED && message.reply !== undefined) {
        const text = `shard ${shard.number} cannot serve at the moment; ask again`;
        throw new UnavailableError("SHARD_MOVED", text, { retryAfterMs: 500 });
      }
      shard.buffer.push(forwarder.waiting.enter(message));
    } catch (error) {
      listeners.fail(message.reply, error);
    }
  }

  /** What a shard that left this node had not served yet goes to its next owner, which may be this node again. */
  handOn(shard: HostedShard): void {
    const { forwarder, hosted } = this.#parts;
    forwarder.handOn(shard, (verb, id, message) => {
      const again = hosted.get(shard.number);
      if (again?.phase !== "serving") return false;
      this.serveKept(again, verb, id, message);
      return true;
    });
  }

  /** A message that was kept until the shard had an owner, which is this node now. */
  serveKept(shard: HostedShard, verb: string, id: string, message: Message): void {
    if (verb === "reply") {
      const [task = "", attempt = ""] = id.split(".");
      this.guard(message, () => this.#answer(shard, task, Number(attempt), message));
    } else this.guard(message, () => this.#onShard(shard, verb, id, message));
  }

  /** Runs a handler; what it throws is the asker's answer. */
  guard(message: Message, run: (message: Message) => void | Promise<void>): void {
    if (!mayAnswer(this.#context.names, message)) return this.#ignore(message);
    this.#run(message, run);
  }

  #run(message: Message, run: (message: Message) => void | Promise<void>): void {
    try {
      const pending = run(message);
      if (pending === undefined) return;
      const served = pending.catch((error: unknown) => this.#failed(message, error));
      this.#open.add(served);
      void served.finally(() => this.#open.delete(served));
    } catch (error) {
      this.#failed(message, error);
    }
  }

  #ignore({ subject, reply }: Message): void {
    this.#context.logger.warn(
      { subject, reply },
      "a request's reply-to is a subject of Ergon or of the server; the request is ignored",
    );
  }

  #failed(message: Message, error: unknown): void {
    if (!(error instanceof Error && "code" in error))
      this.#context.logger.error(
        { subject: message.subject, err: error },
        "a request failed unexpectedly; its sender gets INTERNAL",
      );
    this.#parts.listeners.fail(message.reply, error);
  }

  #submit(message: Message, driver: string): void {
    const { intake } = this.#parts;
    intake.requireOpen();
    intake.requireSize(message.data.length);
    const submission = parseSubmitMessage(message, driver);
    const { id: given } = submission.spec;
    const spec = intake.specOf(submission);
    const { id, shard } = given === undefined ? intake.newPlace() : intake.placeOf(given);
    if (shard === undefined) return this.#forwardSubmit(message, { ...spec, id });
    this.#admit(message, shard, { ...spec, id }, given === undefined);
  }

  #start(message: Message, machine: string): void {
    const { intake } = this.#parts;
    intake.requireOpen();
    const { spec, id: given } = parseStartMessage(message, machine);
    const { id, shard } = given === undefined ? intake.newPlace() : intake.placeOf(given);
    this.#begin(message, id, spec, shard, given === undefined);
  }

  #begin(message: Message, id: string, spec: StartSpec, shard: HostedShard | undefined, fresh: boolean): void {
    if (shard !== undefined) {
      this.#parts.intake.requireStore(shard);
      return this.#parts.instances.answerStart(shard, id, spec, message, fresh);
    }
    const begin: Message = { ...plain(message), data: encodeStart(spec) };
    this.#forward(shardOf(id, this.#context.ports.records.shards), "begin", id, begin);
  }

  #forward(number: number, verb: string, id: string, message: Message): void {
    const shard = this.#parts.hosted.get(number);
    if (shard !== undefined) this.#parts.intake.requireStore(shard);
    this.#parts.forwarder.forward(number, verb, id, message);
  }

  #forwardSubmit(message: Message, spec: TaskSpec): void {
    const admission: Message = { ...plain(message), data: encodeAdmission(spec) };
    this.#forward(shardOf(spec.id, this.#context.ports.records.shards), "admit", spec.id, admission);
  }

  #verb(verb: string, id: string, message: Message): void {
    requireActorId(id);
    const number = shardOf(id, this.#context.ports.records.shards);
    const shard = this.#parts.hosted.get(number);
    if (shard?.phase === "serving") return this.guard(message, () => this.#onShard(shard, verb, id, message));
    this.#forward(number, verb, id, message);
  }

  #onShard(shard: HostedShard, verb: string, id: string, message: Message): void | Promise<void> {
    if (!inTurn.has(verb)) return this.#serve(shard, verb, id, message);
    return this.#turns.run(id, message, (kept) =>
      shard.phase === "serving"
        ? this.#serve(shard, verb, id, kept)
        : this.#parts.forwarder.forward(shard.number, verb, id, kept),
    );
  }

  #serve(shard: HostedShard, verb: string, id: string, message: Message): void | Promise<void> {
    requireActorId(id);
    const number = shardOf(id, this.#context.ports.records.shards);
    if (number !== shard.number)
      throw new InvalidError("INVALID_SUBJECT", `the shard of ${id} is ${number}, not ${shard.number}`);
    if ((actorVerbs as readonly string[]).includes(verb)) requireHeaders(message.headers(), verb);
    switch (verb) {
      case "retry":
        return this.#retry(shard, id, message);
      case "admit":
        return this.#admitForwarded(shard, id, message);
      case "begin":
        this.#parts.intake.requireCapacity();
        return this.#parts.instances.answerStart(shard, id, decodeStart(message.data), message, false);
      case "tell":
        return this.#parts.instances.tell(shard, id, message, () => this.#parts.intake.requireCapacity());
      case "send":
      case "can":
        return this.#parts.instances.take(shard, verb, id, message);
      case "migrate":
        return this.#parts.instances.migrate(shard, id, message);
      case "batch":
        this.#parts.intake.requireCapacity();
        return this.#parts.batches.coordinate(message);
      case "release":
        return this.#parts.held.decided(textOf(message), "admitted");
      case "discard":
        return this.#parts.held.decided(textOf(message), "refused");
      default:
        return this.#parts.tasks.take(shard, verb, id, message);
    }
  }

  #admit(message: Message, shard: HostedShard, spec: TaskSpec, fresh: boolean, batch?: string): void {
    const { admissions, tasks } = this.#parts;
    this.#parts.intake.requireStore(shard);
    admissions.submit(shard, spec, fresh, (outcome) => tasks.answerSubmit(message, outcome, shard), batch);
  }

  /** A task that another node took: its shard is here. */
  #admitForwarded(shard: HostedShard, id: string, message: Message): void {
    this.#parts.intake.requireCapacity();
    const { spec, batch } = decodeAdmission(message.data, id);
    this.#admit(message, shard, spec, false, batch);
  }

  async #retry(shard: HostedShard, id: string, message: Message): Promise<void> {
    const { intake } = this.#parts;
    intake.requireOpen();
    const newId = message.header(H.id);
    if (newId !== undefined) requireId(newId);
    const repetition = await this.#parts.tasks.repeatable(shard, id, newId);
    const target = intake.placeOf(repetition.id).shard;
    if (repetition.kind === "instance") return this.#begin(message, repetition.id, repetition.spec, target, false);
    if (target === undefined) return this.#forwardSubmit(message, repetition.spec);
    this.#admit(message, target, repetition.spec, false);
  }
}

function textOf(message: Message): string {
  return Buffer.from(message.data).toString();
}

/** A message's parts, for a copy with another body. */
function plain(message: Message): Message {
  const headers = { ...message.headers(), [H.contentType]: MSGPACK_TYPE };
  return {
    subject: message.subject,
    data: message.data,
    reply: message.reply,
    header: (name) => message.header(name),
    headers: () => headers,
    noResponders: false,
  };
}
