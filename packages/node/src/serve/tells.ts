import { InvalidError, type Message } from "@ergon/core";
import {
  MSGPACK_TYPE,
  decodeBody,
  isMachineState,
  machineLimits,
  type MachineRegistry,
  type Tell,
} from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { EventWithoutTime } from "../shard/actor.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Stepping } from "../shard/hosting.ts";
import type { Admissions } from "./admissions.ts";
import type { InstanceStarts } from "./instance-starts.ts";
import type { Intake } from "./intake.ts";
import type { Outcome } from "./outcome.ts";
import { readStored } from "./read-stored.ts";
import { notFound } from "./refusals.ts";
import type { Replies } from "./replies.ts";

export interface TellsParts {
  readonly host: Stepping;
  readonly machines: MachineRegistry;
  readonly intake: Intake;
  readonly admissions: Admissions;
  readonly starts: InstanceStarts;
  readonly replies: Replies;
}

/** Takes the messages between durable actors: starts and stops of children, their ends, and events. */
export class Tells {
  readonly #context: NodeContext;
  readonly #parts: TellsParts;

  constructor(context: NodeContext, parts: TellsParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Answers a message when its outcome is stored. A repeated message has no further effect. */
  async serve(shard: HostedShard, id: string, { data, reply }: Message): Promise<void> {
    const { host, machines, intake, replies } = this.#parts;
    const { from, tell } = decodeTell(data);
    const { what, key } = tell;
    if (what.kind === "start") {
      intake.requireCapacity();
      return this.#startChild(shard, id, { from, key, child: what.child }, reply);
    }
    const actor = shard.actors.get(id);
    if (actor === undefined) {
      // An ended actor ignores messages. If the store does not retain the actor either, it never existed.
      if ((await readStored(this.#context, machines, shard, id)) === undefined) throw notFound(id);
      return replies.acknowledge(reply);
    }
    const isMachine = isMachineState(host.wake(actor));
    if (!isMachine && what.kind !== "stop") return replies.acknowledge(reply);
    const event: EventWithoutTime = isMachine
      ? { type: "ergon.told", from, tell }
      : { type: "cancel", by: from, reason: what.kind === "stop" ? what.reason : "" };
    const settled = replies.onceStored(reply, () => replies.acknowledge(reply));
    if (!host.advance(actor, event, settled)) host.whenStored(actor, settled);
  }

  #startChild(shard: HostedShard, id: string, { from, key, child }: ChildStart, reply: string | undefined): void {
    const { admissions, starts, replies } = this.#parts;
    const done = (outcome: Outcome): void => {
      if (outcome.kind === "refused") replies.fail(reply, outcome.error);
      else replies.acknowledge(reply);
    };
    if (child.spec !== undefined)
      return admissions.submit(shard, { ...child.spec, id, parent: { id: from, key } }, false, done);
    const { machine, version, input, sync, retentionMs, correlationId, depth } = child;
    if (depth !== undefined && depth > machineLimits.depth)
      throw new InvalidError(
        "INVALID_OPTION",
        `${id} would have ${depth} parents; at most ${machineLimits.depth} are allowed`,
      );
    const parent = { id: from, key, sync, depth };
    starts.start(shard, id, { machine, version, input, retentionMs, correlationId, parent }, false, done);
  }
}

interface ChildStart {
  readonly from: string;
  readonly key: number;
  readonly child: (Tell["what"] & { kind: "start" })["child"];
}

function decodeTell(data: Uint8Array): { from: string; tell: Tell } {
  const { from, tell } = decodeBody(data, MSGPACK_TYPE) as { from?: string; tell?: Tell };
  if (typeof from !== "string" || typeof tell?.seq !== "number" || typeof tell.what?.kind !== "string")
    throw new InvalidError("INVALID_BODY", "the body is not a message of another actor");
  if (tell.what.kind === "start" && typeof tell.what.child?.machine !== "string")
    throw new InvalidError("INVALID_BODY", "the body must name the machine or driver to start");
  return { from, tell };
}
