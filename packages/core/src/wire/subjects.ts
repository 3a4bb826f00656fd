import { InvalidError } from "../base/errors.ts";
import { isActorId, isId, isName } from "../base/id.ts";

/** The verbs for one actor. Any node serves `<verb>.<id>`, and the actor's owner serves `shard.<n>.<verb>.<id>`. */
export const actorVerbs = ["get", "wait", "watch", "cancel", "retry", "end", "send", "can", "migrate"] as const;
export type ActorVerb = (typeof actorVerbs)[number];

/** The verbs for the whole cluster. Any node serves them. */
export const clusterVerbs = ["list", "nodes", "agents", "shards"] as const;
export type ClusterVerb = (typeof clusterVerbs)[number];

/** The name of one attempt of a task, as subjects contain it. */
export function attemptKey(task: string, attempt: number): string {
  return `${task}.${attempt}`;
}

export interface ShardSubject {
  readonly verb: string;
  readonly id: string;
  /** The attempt to which the answer on a `reply` subject belongs. */
  readonly attempt: number;
}

/** The names of a namespace on the wire. Every subject, stream and bucket gets its name here. */
export interface Names {
  readonly namespace: string;
  readonly root: string;

  /** Clients. */
  submit(driver: string): string;
  readonly batch: string;
  /** Starts an instance of a machine. */
  start(machine: string): string;
  verb(verb: ActorVerb, id: string): string;
  /** Returns the subject of a question about the cluster, or of all of them for `*`. */
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
  /** Returns the subject on which an agent receives the confirmation or the refusal of an answer. `answer` is `<task>.<attempt>`, or `>` for all. */
  recorded(agent: string, answer: string): string;
  readonly presence: string;
  /** The subject on which nodes tell all agents that they have started or stopped. */
  readonly roll: string;

  /** Listeners. */
  event(machine: string, status: string, id: string): string;
  /** Returns the subject of the events that an instance emits. */
  emitted(machine: string, id: string): string;
  /** Returns the subject on which a new owner reports that it serves the shard. Clients that wait for an answer of the shard then ask again. */
  owned(shard: number): string;
  readonly ownedAll: string;

  /** JetStream. */
  recordBucket(bucket: number): string;
  readonly leaseBucket: string;
  readonly configurationKey: string;
}

export { isName };

/** Returns `text` if it is a name. Throws `InvalidError`, which names `field`, otherwise. */
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

/** Throws `InvalidError` unless `id` is one that a client may give, or the id of a schedule's run. */
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

/** The queue group of nodes for the subjects that any node serves, and of plain agents for the subjects of their drivers. */
export const QUEUE = "ergon";

/** Makes the names of a namespace. Throws `InvalidError` when the namespace is not a valid name. */
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

    reply: (shard, id, attempt) => `${shardRoot}${shard}.reply.${attemptKey(id, attempt)}`,
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
