import { InvalidError, NotFoundError, UnavailableError } from "@ergon/core";

import type { HomeShard } from "../shard/actor.ts";
import { unreadable } from "../shard/stepper.ts";
import type { Refusal } from "../shard/writing.ts";

/** The error that a client gets for the store's refusal. */
export function refused(refusal: Refusal): Error {
  const { code, message } = refusal;
  return code === "PAYLOAD_TOO_LARGE" || code === "NOT_PERMITTED"
    ? new InvalidError(code, message)
    : new UnavailableError(code, message);
}

/** Whether the shard leaves this node, or has left: nothing more of it is stored here, and nobody who waits for that would be answered. */
export function isLeaving({ phase }: HomeShard): boolean {
  return phase === "draining" || phase === "closed";
}

/** The shard is served elsewhere now, or will be. */
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

/** The error for a record that cannot be read here; `undefined`: it can. Where another node knows its machine, the shard goes there. */
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
