import { ConflictError, InvalidError, NotFoundError, UnavailableError } from "@ergon/core";

import type { Refusal } from "../shard/commit-queue.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";

/** The error that a client gets for the store's refusal. */
export function refused(refusal: Refusal): Error {
  const { code, message } = refusal;
  return code === "PAYLOAD_TOO_LARGE" || code === "NOT_PERMITTED"
    ? new InvalidError(code, message)
    : new UnavailableError(code, message);
}

/** The shard is served elsewhere now, or will be. */
export function moved(shard: HostedShard): Error {
  return new UnavailableError("SHARD_MOVED", `shard ${shard.number} has moved to another node; ask again`, {
    retryAfterMs: 100,
  });
}

export function notFound(id: string): Error {
  return new NotFoundError("TASK_NOT_FOUND", `no task ${id}, live or retained`);
}

export function unreadable(id: string, reason: string): Error {
  return new ConflictError(
    "TASK_UNREADABLE",
    `the record of ${id} cannot be read here: ${reason}; it was left as it is`,
  );
}
