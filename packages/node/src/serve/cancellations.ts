import { ConflictError, taskLimits, type Message } from "@ergon/core";
import { H, headerText, isMachineState, taskOf, type Asking, type MachineRegistry } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Sending } from "../shard/hosting.ts";
import { statusText } from "./describe.ts";
import { readStored } from "./read-stored.ts";
import { notFound } from "./refusals.ts";
import type { Replies } from "./replies.ts";

/** A client's decision over a task or an instance. `cancel` asks its agents to stop, and `end` does not wait for them. */
export interface Cancellation {
  readonly type: "cancel" | "end";
  readonly by: string;
  readonly reason: string;
}

export function parseCancellation(type: Cancellation["type"], message: Message): Cancellation {
  const by = (message.header(H.by) ?? "client").slice(0, 128);
  const reason = (message.header(H.reason) ?? "").slice(0, taskLimits.reasonLength);
  return { type, by: headerText(by), reason: headerText(reason) };
}

export interface CancellationsParts {
  readonly host: Sending;
  readonly machines: MachineRegistry;
  readonly replies: Replies;
}

/** Serves `cancel` and `end`. */
export class Cancellations {
  readonly #context: NodeContext;
  readonly #parts: CancellationsParts;

  constructor(context: NodeContext, parts: CancellationsParts) {
    this.#context = context;
    this.#parts = parts;
  }

  async serve(shard: HostedShard, id: string, cancellation: Cancellation, asking: Asking): Promise<void> {
    const { host, machines, replies } = this.#parts;
    const { type } = cancellation;
    const actor = shard.actors.get(id);
    if (actor !== undefined) {
      const answer = (): void => {
        const stored = host.committed(actor);
        if (stored !== undefined) replies.answer(asking, shard.number, stored, actor);
      };
      if (host.send(actor, { ...cancellation }, answer)) return;
      if (host.wake(actor).snapshot.status === "active")
        return host.whenStored(actor, replies.onceStored(asking.reply, answer));
      // The actor has ended, and its write is in flight, so the node decides again after the write.
      if (!actor.writing.isDone)
        return host.whenStored(
          actor,
          replies.onceStored(asking.reply, () => this.serve(shard, id, cancellation, asking)),
        );
    }
    const state = actor?.committed ?? (await readStored(this.#context, machines, shard, id));
    if (state === undefined) throw notFound(id);
    const status = statusText(state);
    const { failure } = isMachineState(state) ? state.meta : taskOf(state);
    // The sender repeats a decision whose answer was lost.
    const repeated = type === "cancel" ? status === "cancelled" : failure?.code === "ENDED_BY_FORCE";
    if (repeated) return replies.answer(asking, shard.number, state);
    throw new ConflictError("TASK_ENDED", `${id} has ended: ${status}`);
  }
}
