/** The names of all headers on Ergon's wire. `docs/protocol.md` explains each. */
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
  /** The form of the answer of a submit or wait after the task has succeeded, `task` (the default) or `response`. */
  answer: "Ergon-Answer",
  driver: "Ergon-Driver",

  /** Headers of a start and of an event for an instance. */
  machineVersion: "Ergon-Machine-Version",
  eventId: "Ergon-Event-Id",
  /** The goal of a wait, `state:<state>` or `tag:<tag>`. A wait without it ends with the instance. */
  until: "Ergon-Until",
  /** `true` if the instance is in the requested state, otherwise `false`. A reply to a request with `Ergon-Until` carries it. */
  untilMet: "Ergon-Until-Met",

  /** The author of a cancel, an end or a retry, and the reason. */
  by: "Ergon-By",
  reason: "Ergon-Reason",

  /** Headers of a dispatch to an agent. */
  task: "Ergon-Task",
  attempt: "Ergon-Attempt",
  deadline: "Ergon-Deadline",
  timeoutMs: "Ergon-Timeout-Ms",
  heartbeatMs: "Ergon-Heartbeat-Timeout-Ms",
  /** Marks an attempt that the agent may have received before. An agent that does not know the attempt returns it. */
  again: "Ergon-Again",

  /** Headers of an agent's answer. */
  event: "Ergon-Event",
  agent: "Ergon-Agent",

  /** Headers of replies and events. */
  status: "Ergon-Status",
  final: "Ergon-Final",
  /** The shard of the task. A waiting client uses it to recognise a change of owner that concerns the task. */
  shard: "Ergon-Shard",
  node: "Ergon-Node",
  protocol: "Ergon-Protocol",
} as const;

/** The version of the wire that this package speaks. A change that an older peer cannot read raises it. */
export const PROTOCOL = "1";

export const JSON_TYPE = "application/json";
/** MessagePack that represents errors, and values that look like one, as records do, with `ergon$error` and `ergon$data` (docs/protocol.md, "The record"). */
export const PLAIN_TYPE = "application/msgpack; form=ergon";
export const MSGPACK_TYPE = "application/msgpack";
export const BYTES_TYPE = "application/octet-stream";
export const TEXT_TYPE = "text/plain";
