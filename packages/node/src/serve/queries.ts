import { taskMachine, isMachineState, type Asking, type MachineRegistry } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Reading } from "../shard/hosting.ts";
import { hasEnded } from "./describe.ts";
import type { Listeners } from "./listeners.ts";
import { readStored } from "./read-stored.ts";
import { notFound } from "./refusals.ts";
import type { Replies } from "./replies.ts";
import { requireTarget } from "./wait-target.ts";

export interface QueriesParts {
  readonly host: Reading;
  readonly machines: MachineRegistry;
  readonly replies: Replies;
  readonly listeners: Listeners;
}

/** Answers `get`, `wait` and `watch` for tasks and instances, live or retained. */
export class Queries {
  readonly #context: NodeContext;
  readonly #parts: QueriesParts;

  constructor(context: NodeContext, parts: QueriesParts) {
    this.#context = context;
    this.#parts = parts;
  }

  async serve(shard: HostedShard, verb: "get" | "wait" | "watch", id: string, asking: Asking): Promise<void> {
    if (asking.reply === undefined) return;
    const { host, machines, replies, listeners } = this.#parts;
    const actor = shard.actors.get(id);
    const state = actor === undefined ? await readStored(this.#context, machines, shard, id) : host.committed(actor);
    // The actor's first write is in flight, and there is nothing to read before it is stored.
    if (actor !== undefined && state === undefined)
      return host.whenStored(
        actor,
        replies.onceStored(asking.reply, () => this.serve(shard, verb, id, asking)),
      );
    if (state === undefined) throw notFound(id);
    if (verb === "wait") {
      if (!hasEnded(state)) requireTarget(asking.until, isMachineState(state) ? state.machine : taskMachine);
      return listeners.answerOrWait(asking, shard.number, actor, state);
    }
    replies.answer(asking, shard.number, state, actor);
    if (verb === "watch" && actor !== undefined && !hasEnded(state)) listeners.watch(asking, actor);
  }
}
