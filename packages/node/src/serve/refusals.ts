import { InvalidError, NotFoundError, UnavailableError } from "@ergon/core";

import type { HomeShard } from "../shard/actor.ts";
import { unreadable } from "../shard/stepper.ts";
import type { Refusal } from "../shard/writing.ts";

/** Makes the error that a client gets for the store's refusal. */
export function refused(refusal: Refusal): Error {
  const { code, message } = refusal;
  return code === "PAYLOAD_TOO_LARGE" || code === "NOT_PERMITTED"
    ? new InvalidError(code, message)
    : new UnavailableError(code, message);
}

/**
 * Tells whether the shard is leaving this node, or has left. This node stores no more of it, and would never answer a request that waits for such a
 * write.
 */
export function isLeaving({ phase }: HomeShard): boolean {
  return phase === "draining" || phase === "closed";
}

/** Another node serves the shard now, or soon will. */
export function moved(shard: HomeShard): Error {
  return new UnavailableError(
    "SHARD_MOVED",
    `shard ${shard.number} has moved to another node; send the request again`,
    {
      retryAfterMs: 100,
    },
  );
}

export function notFound(id: string): Error {
  return new NotFoundError("TASK_NOT_FOUND", `no task or instance ${id} exists, live or retained`);
}

/** Returns the error for a record that this node cannot read, or `undefined` if it can. If another node knows the record's machine, the shard goes there. */
export function unreadableError(shard: HomeShard, id: string): Error | undefined {
  const reason = shard.unreadable.get(id);
  if (reason === undefined) return undefined;
  const machine = shard.waiting.get(id);
  if (machine === undefined || !shard.isKnownElsewhere(machine)) return unreadable(id, reason);
  return new UnavailableError(
    "SHARD_MOVED",
    `shard ${shard.number} moves to a node that knows ${machine}; send the request again`,
    {
      retryAfterMs: 250,
    },
  );
}
