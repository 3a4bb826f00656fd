import { SECOND } from "@ergon/core";

/** What the options of a node are when nobody sets them. */
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
