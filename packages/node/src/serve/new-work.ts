import { type Message } from "@ergon/core";
import { H, MSGPACK_TYPE, shardOf, type Asking, type StartSpec, type TaskSpec } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import { encodeAdmission, type Admissions } from "./admissions.ts";
import type { Forwarder } from "./forwarder.ts";
import { encodeStart, type InstanceStarts } from "./instance-starts.ts";
import type { Destination, Intake } from "./intake.ts";
import type { Listeners } from "./listeners.ts";

export interface NewWorkParts {
  readonly intake: Intake;
  readonly admissions: Admissions;
  readonly starts: InstanceStarts;
  readonly forwarder: Forwarder;
  readonly listeners: Listeners;
}

/** Brings new tasks and instances to the owner of their shard. The owner is this node if `shard` is defined, otherwise another node. */
export class NewWork {
  readonly #context: NodeContext;
  readonly #parts: NewWorkParts;

  constructor(context: NodeContext, parts: NewWorkParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** `fresh` says that this node has just made the id, so nothing can be stored under it. */
  submit(shard: HostedShard | undefined, spec: TaskSpec, fresh: boolean, message: Message, asking: Asking): void {
    if (shard !== undefined) return this.admit(shard, spec, fresh, asking);
    this.#forward("admit", spec.id, message, encodeAdmission(spec));
  }

  /** Stores a task in a shard of this node. If `batch` is set, the task is held until the decision over this batch. */
  admit(shard: HostedShard, spec: TaskSpec, fresh: boolean, asking: Asking, batch?: string): void {
    const { intake, admissions, listeners } = this.#parts;
    intake.requireStore(shard);
    admissions.submit(shard, spec, fresh, (outcome) => listeners.answerOutcome(asking, shard.number, outcome), batch);
  }

  start({ id, shard }: Destination, spec: StartSpec, fresh: boolean, message: Message, asking: Asking): void {
    if (shard === undefined) return this.#forward("begin", id, message, encodeStart(spec));
    this.#parts.intake.requireStore(shard);
    this.#parts.starts.serve(shard, id, spec, asking, fresh);
  }

  #forward(verb: "admit" | "begin", id: string, message: Message, data: Uint8Array): void {
    const { intake, forwarder } = this.#parts;
    const shard = shardOf(id, this.#context.ports.records.shards);
    intake.requireStoreOf(shard);
    forwarder.forward(shard, verb, id, withBody(message, data));
  }
}

/** A copy of a message with another body. */
function withBody(message: Message, data: Uint8Array): Message {
  const headers = { ...message.headers(), [H.contentType]: MSGPACK_TYPE };
  return {
    subject: message.subject,
    data,
    reply: message.reply,
    header: (name) => message.header(name),
    headers: () => headers,
    noResponders: false,
  };
}
