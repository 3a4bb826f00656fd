import { InvalidError } from "../base/errors.ts";
import { isActorId, isId, isName } from "../base/id.ts";

/** The verbs for an actor by its id: any node serves `<verb>.<id>`, and its owner serves `shard.<n>.<verb>.<id>`. */
export const actorVerbs = ["get", "wait", "watch", "cancel", "retry", "end", "send", "can", "migrate"] as const;
export type ActorVerb = (typeof actorVerbs)[number];

/** The verbs for the whole cluster, which any node serves: `list`, `nodes`, `agents`, `shards`. */
export const clusterVerbs = ["list", "nodes", "agents", "shards"] as const;
export type ClusterVerb = (typeof clusterVerbs)[number];

export interface ShardSubject {
  readonly verb: string;
  readonly id: string;
  /** In `reply` subjects: the attempt that the answer belongs to. */
  readonly attempt: number;
}

/** The names of a namespace on the wire: every subject, stream and bucket, and nowhere else. */
export interface Names {
  readonly namespace: string;
  readonly root: string;

  /** Clients. */
  submit(driver: string): string;
  readonly batch: string;
  /** Starts an instance of a machine. */
  start(machine: string): string;
  verb(verb: ActorVerb, id: string): string;
  /** `*`: any question about the cluster. */
  cluster(verb: ClusterVerb | "*" | ""): string;

  /** Nodes. */
  shard(shard: number, verb: string, id: string): string;
  shardAll(shard: number): string;
  parseShard(subject: string): ShardSubject;
  node(node: string): string;
  nodeVerb(node: string, verb: string): string;

  /** Agents. */
  reply(shard: number, id: string, attempt: number): string;
  plainAgent(driver: string): string;
  agent(driver: string, agent: string): string;
  control(agent: string): string;
  /** Where an agent hears that an answer is recorded, or refused; `answer` is `<task>.<attempt>`, or `>` for all. */
  recorded(agent: string, answer: string): string;
  readonly presence: string;
  /** A node's word to all agents that it is there, or gone. */
  readonly roll: string;

  /** Listeners. */
  event(machine: string, status: string, id: string): string;
  /** The events that an instance emitted. */
  emitted(machine: string, id: string): string;
  /** A new owner's word that it serves the shard: whoever waits for an answer of the shard asks again. */
  owned(shard: number): string;
  readonly ownedAll: string;

  /** JetStream. */
  recordBucket(bucket: number): string;
  readonly leaseBucket: string;
  readonly configurationKey: string;
}

export { isName };

/** Throws `InvalidError` naming `field` unless {@link isName}. */
export function requireName(field: string, text: string): string {
  if (isName(text)) return text;
  const code = field === "driver" ? "INVALID_DRIVER" : "INVALID_OPTION";
  const message = `${field} "${text.slice(0, 80)}" is not a name: use 1 to 64 letters, digits, "_" or "-"`;
  throw new InvalidError(code, message, { issues: [{ field, code, message }] });
}

/** Throws `InvalidError` unless a client may give `id` to an actor. */
export function requireId(id: string): string {
  if (isId(id)) return id;
  if (!isActorId(id)) throw invalidId(notAnId(id));
  throw invalidId(`id "${id}" has a "=", which only the runs of schedules have: use letters, digits, "_" or "-"`);
}

/** Throws `InvalidError` unless `id` may be the id of an actor: one that a client gave, or that of a schedule's run. */
export function requireActorId(id: string): string {
  if (isActorId(id)) return id;
  throw invalidId(notAnId(id));
}

function notAnId(id: string): string {
  return `id "${id.slice(0, 140)}" is not an id: use 1 to 128 letters, digits, "_" or "-"`;
}

function invalidId(message: string): InvalidError {
  return new InvalidError("INVALID_ID", message, { issues: [{ field: "id", code: "INVALID_ID", message }] });
}

/** The queue group in which nodes share the subjects that any of them serves, and plain agents theirs. */
export const QUEUE = "ergon";

/** Names everything of a namespace. Throws `InvalidError` when it is not a name. */
export function createNames(namespace: string, prefix = "ergon"): Names {
  requireName("namespace", namespace);
  requireName("prefix", prefix);
  const root = `${prefix}.${namespace}`;
  const shardRoot = `${root}.shard.`;
  return {
    namespace,
    root,
    submit: (driver) => `${root}.submit.${driver}`,
    batch: `${root}.batch`,
    start: (machine) => `${root}.start.${machine}`,
    verb: (verb, id) => `${root}.${verb}.${id}`,
    cluster: (verb) => `${root}.cluster.${verb}`,

    shard: (shard, verb, id) => `${shardRoot}${shard}.${verb}.${id}`,
    shardAll: (shard) => `${shardRoot}${shard}.>`,
    parseShard: (subject) => {
      const verbStart = subject.indexOf(".", shardRoot.length) + 1;
      const idStart = subject.indexOf(".", verbStart) + 1;
      const verb = subject.slice(verbStart, idStart - 1);
      if (verb !== "reply") return { verb, id: subject.slice(idStart), attempt: 0 };
      const attemptStart = subject.indexOf(".", idStart) + 1;
      return { verb, id: subject.slice(idStart, attemptStart - 1), attempt: Number(subject.slice(attemptStart)) };
    },
    node: (node) => `${root}.node.${node}`,
    nodeVerb: (node, verb) => `${root}.node.${node}.${verb}`,

    reply: (shard, id, attempt) => `${shardRoot}${shard}.reply.${id}.${attempt}`,
    plainAgent: (driver) => `${root}.agent.${driver}`,
    agent: (driver, agent) => `${root}.agent.${driver}.${agent}`,
    control: (agent) => `${root}.control.${agent}`,
    recorded: (agent, answer) => `${root}.recorded.${agent}.${answer}`,
    presence: `${root}.presence`,
    roll: `${root}.roll`,

    event: (machine, status, id) => `${root}.event.${machine}.${status}.${id}`,
    emitted: (machine, id) => `${root}.emitted.${machine}.${id}`,
    owned: (shard) => `${root}.owned.${shard}`,
    ownedAll: `${root}.owned.*`,

    recordBucket: (bucket) => `${prefix}_${namespace}_tasks_${bucket}`,
    leaseBucket: `${prefix}_${namespace}_leases`,
    configurationKey: "configuration",
  };
}
