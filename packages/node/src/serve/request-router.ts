import { type Message, type Subscription } from "@ergon/core";
import {
  QUEUE,
  actorVerbs,
  parseStartMessage,
  parseSubmitMessage,
  requireActorId,
  shardOf,
  type Asking,
  type MachineRegistry,
} from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Batches } from "./batches.ts";
import type { ClusterQueries } from "./cluster-queries.ts";
import type { Forwarder } from "./forwarder.ts";
import type { Guard, Handler } from "./guard.ts";
import type { Intake } from "./intake.ts";
import type { NewWork } from "./new-work.ts";
import type { ShardMessages } from "./shard-messages.ts";

export interface RequestRouterParts {
  readonly batches: Batches;
  readonly cluster: ClusterQueries;
  readonly forwarder: Forwarder;
  readonly guard: Guard;
  readonly hosted: ReadonlyMap<number, HostedShard>;
  readonly intake: Intake;
  readonly machines: MachineRegistry;
  readonly shards: ShardMessages;
  readonly work: NewWork;
}

/** Serves the subjects that any node may answer. It finds the part of this node, or the node, that answers a request. */
export class RequestRouter {
  readonly #context: NodeContext;
  readonly #parts: RequestRouterParts;
  #subscriptions: Subscription[] = [];

  constructor(context: NodeContext, parts: RequestRouterParts) {
    this.#context = context;
    this.#parts = parts;
  }

  start(): void {
    const { ports, names } = this.#context;
    const { guard, machines, batches, cluster } = this.#parts;
    const serve = (subject: string, handler: Handler): void => {
      this.#subscriptions.push(
        ports.bus.subscribe(subject, (message) => guard.serve(message, handler), { queue: QUEUE }),
      );
    };
    const submitRoot = names.submit("").length;
    serve(names.submit("*"), (message, asking) => this.#submit(message, message.subject.slice(submitRoot), asking));
    // A node starts only the machines that it knows.
    for (const machine of machines.startable())
      serve(names.start(machine), (message, asking) => this.#start(message, machine, asking));
    serve(names.batch, (message, asking) => batches.serve(message, asking));
    for (const verb of actorVerbs) {
      const root = names.verb(verb, "").length;
      serve(names.verb(verb, "*"), (message, asking) => this.#verb(verb, message.subject.slice(root), message, asking));
    }
    const clusterRoot = names.cluster("").length;
    serve(names.cluster("*"), (message, asking) => cluster.serve(message.subject.slice(clusterRoot), message, asking));
  }

  /** Takes no more new work. Resolves when the node has served all requests that the server has given to it. */
  async stop(): Promise<void> {
    const subscriptions = this.#subscriptions;
    this.#subscriptions = [];
    await Promise.all(subscriptions.map((subscription) => subscription.drain()));
    this.#parts.intake.close();
    await this.#parts.guard.idle();
  }

  #submit(message: Message, driver: string, asking: Asking): void {
    const { intake, work } = this.#parts;
    intake.requireOpen();
    intake.requireSize(message.data.length);
    const submission = parseSubmitMessage(message, driver);
    const { id: given } = submission.spec;
    const spec = intake.specOf(submission);
    const { id, shard } = given === undefined ? intake.newDestination() : intake.destinationOf(given);
    work.submit(shard, { ...spec, id }, given === undefined, message, asking);
  }

  #start(message: Message, machine: string, asking: Asking): void {
    const { intake, work } = this.#parts;
    intake.requireOpen();
    const { spec, id: given } = parseStartMessage(message, machine);
    const destination = given === undefined ? intake.newDestination() : intake.destinationOf(given);
    work.start(destination, spec, given === undefined, message, asking);
  }

  #verb(verb: string, id: string, message: Message, asking: Asking): void | Promise<void> {
    const { hosted, shards, intake, forwarder } = this.#parts;
    requireActorId(id);
    const number = shardOf(id, this.#context.ports.records.shards);
    const shard = hosted.get(number);
    if (shard?.phase === "serving") return shards.serve(shard, verb, id, message, asking);
    intake.requireStoreOf(number);
    forwarder.forward(number, verb, id, message);
  }
}
