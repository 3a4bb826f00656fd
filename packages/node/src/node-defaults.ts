import { SECOND } from "@ergon/core";

/** The values of a node's options that the user does not set. */
export const nodeDefaults = {
  namespace: "default",
  prefix: "ergon",
  shards: 64,
  buckets: 1,
  replicas: 1,
  sessionTtlMs: (6 * SECOND) as number,
  commitMode: "auto",
  log: { level: "info", format: "auto" },
  drainMs: (30 * SECOND) as number,
} as const;
