/** Every header on Ergon's wire, spelled once. `docs/protocol.md` explains each. */
export const H = {
  contentType: "Content-Type",
  accept: "Accept",
  serviceError: "Nats-Service-Error",
  serviceErrorCode: "Nats-Service-Error-Code",
  error: "Ergon-Error",
  errorKind: "Ergon-Error-Kind",
  retryAfter: "Ergon-Retry-After",

  /** Options of a submit. */
  id: "Ergon-Id",
  correlationId: "Ergon-Correlation-Id",
  resource: "Ergon-Resource",
  arguments: "Ergon-Arguments",
  tags: "Ergon-Tags",
  priority: "Ergon-Priority",
  delay: "Ergon-Delay",
  notBefore: "Ergon-Not-Before",
  queueTimeout: "Ergon-Queue-Timeout",
  attemptTimeout: "Ergon-Attempt-Timeout",
  heartbeatTimeout: "Ergon-Heartbeat-Timeout",
  totalTimeout: "Ergon-Total-Timeout",
  cancelGrace: "Ergon-Cancel-Grace",
  maxAttempts: "Ergon-Max-Attempts",
  maxLost: "Ergon-Max-Lost",
  retryInitial: "Ergon-Retry-Initial",
  retryFactor: "Ergon-Retry-Factor",
  retryMax: "Ergon-Retry-Max",
  retryJitter: "Ergon-Retry-Jitter",
  retryNever: "Ergon-Retry-Never",
  retention: "Ergon-Retention",
  wait: "Ergon-Wait",
  /** `task` (the default) or `response`: what a submit or wait answers with once the task has succeeded. */
  answer: "Ergon-Answer",
  driver: "Ergon-Driver",

  /** In a start, and in an event for an instance. */
  machineVersion: "Ergon-Machine-Version",
  eventId: "Ergon-Event-Id",
  /** The goal of a wait, instead of the end: `state:<state>` or `tag:<tag>`. */
  until: "Ergon-Until",
  /** In a reply to a request with `Ergon-Until`: `true` if the instance is in that state, else `false`. */
  untilMet: "Ergon-Until-Met",

  /** The author of a cancel, an end or a retry, and the reason. */
  by: "Ergon-By",
  reason: "Ergon-Reason",

  /** In a dispatch, to an agent. */
  task: "Ergon-Task",
  attempt: "Ergon-Attempt",
  deadline: "Ergon-Deadline",
  timeoutMs: "Ergon-Timeout-Ms",
  heartbeatMs: "Ergon-Heartbeat-Timeout-Ms",
  /** The agent may have been given the attempt before: one that does not know it hands it back. */
  again: "Ergon-Again",

  /** In an answer, from an agent. */
  event: "Ergon-Event",
  agent: "Ergon-Agent",

  /** In replies and events. */
  status: "Ergon-Status",
  final: "Ergon-Final",
  /** The shard of the task, so that whoever waits knows whose change of owner concerns it. */
  shard: "Ergon-Shard",
  node: "Ergon-Node",
  protocol: "Ergon-Protocol",
} as const;

/** The version of the wire that this package speaks; a change that an older peer cannot read raises it. */
export const PROTOCOL = "1";

export const JSON_TYPE = "application/json";
/** MessagePack in which errors, and what looks like one, stand as in records: `ergon$error` and `ergon$data` (docs/protocol.md, "The record"). */
export const PLAIN_TYPE = "application/msgpack; form=ergon";
export const MSGPACK_TYPE = "application/msgpack";
export const BYTES_TYPE = "application/octet-stream";
export const TEXT_TYPE = "text/plain";
