import { PLAN, SCHEDULE } from "../base/built-in.ts";
import { createSystemClock, type Clock } from "../base/clock.ts";
import { createIdFactory } from "../base/id.ts";
import { systemRandom, type Random } from "../base/random.ts";
import type { Bus, Headers } from "../ports/bus.ts";
import type { ActorSummary, ListReply, ListRequest } from "../views/list.ts";
import { encodeBody } from "../wire/codec.ts";
import { headerText } from "../wire/error-headers.ts";
import { H, JSON_TYPE, MSGPACK_TYPE } from "../wire/headers.ts";
import type { AgentView, BatchReply, BatchRequest, NodeView } from "../wire/messages.ts";
import { createNames, requireActorId, requireId, type ActorVerb, type ClusterVerb } from "../wire/subjects.ts";
import type { Client, DecisionOptions, ShardMap } from "./api.ts";
import { createCaller } from "./caller.ts";
import { createEventIds } from "./event-ids.ts";
import { createInstance, startInstance, type InstanceParts } from "./instance.ts";
import { createMoves } from "./moves.ts";
import { encodeSubmit, normalizeTasks } from "./submit-message.ts";
import { createTaskHandle } from "./task-handle.ts";
import { readBody, readTask, type TaskReply } from "./task-reply.ts";
import { untilEnded, untilResponse } from "./wait.ts";
import { watchTask } from "./watch.ts";

/** A node replies to a batch only when thousands of tasks are stored. */
const BATCH_TRY_MS = 5_000;
/** The results of a schedule are in its runs, so its own record is short-lived: its id is soon free for another schedule. */
const SCHEDULE_RETENTION = "10s";
/** A node that answers for the cluster asks all nodes, and waits 5 s for a silent one. A list may be much work. */
const CLUSTER_TRY_MS = 6_000;
const CLUSTER_BESIDE_MS = 1_000;

export interface ClientOptions {
  /** The connection; the client does not close it. */
  readonly bus: Bus;
  /** @defaultValue "default" */
  readonly namespace?: string | undefined;
  /** The first part of every subject. @defaultValue "ergon" */
  readonly prefix?: string | undefined;
  /**
   * The longest time of a call without an answer, including its retries, in milliseconds. Waits and watches continue through any outage: this
   * bounds them only if no node has ever answered this client. @defaultValue 30,000
   */
  readonly timeoutMs?: number | undefined;
  /** The name that `cancel`, `end` and `retry` record. @defaultValue "client" */
  readonly by?: string | undefined;
  /** The prefix of the client's inboxes, if its permissions require another. @defaultValue "_INBOX" */
  readonly inboxPrefix?: string | undefined;
  /** Called once per call when no node has served it for a second; the call continues until its `timeoutMs`. @defaultValue none */
  readonly onNoNode?: (() => void) | undefined;
  /** Called with `true` when NATS has been unreachable for a second, and with `false` when it is back. @defaultValue none */
  readonly onNatsAway?: ((away: boolean) => void) | undefined;
  /** @defaultValue the system's */
  readonly clock?: Clock | undefined;
  /** @defaultValue the system's */
  readonly random?: Random | undefined;
}

const defaults = {
  namespace: "default",
  prefix: "ergon",
  timeoutMs: 30_000,
  by: "client",
  inboxPrefix: "_INBOX",
} as const;
const NOTHING = new Uint8Array();

/**
 * Creates a client on a bus, of a NATS connection or of the memory network. Throws `InvalidError` if the namespace is not a name.
 *
 * @example
 * const client = createClient({ bus, namespace: "default" });
 * const task = await client.submit({ driver: "echo", payload: { hello: "world" } });
 * console.log((await task.response()).json());
 */
export function createClient(options: ClientOptions): Client {
  const { bus, clock = createSystemClock(), random = systemRandom } = options;
  const names = createNames(options.namespace ?? defaults.namespace, options.prefix ?? defaults.prefix);
  const newId = createIdFactory(random);
  const newEventId = createEventIds(newId);
  const inboxRoot = `${options.inboxPrefix ?? defaults.inboxPrefix}.${newId()}`;
  const moves = createMoves(bus, names, clock);
  const { timeoutMs = defaults.timeoutMs, onNoNode, onNatsAway } = options;
  const caller = createCaller({ bus, clock, random, moves, timeoutMs, onNoNode, onNatsAway });
  let inboxes = 0;

  const decide = (
    verb: ActorVerb,
    id: string,
    { by, reason }: DecisionOptions = {},
    more?: Headers,
  ): Promise<TaskReply> => {
    const headers: Record<string, string> = { ...more, [H.by]: headerText(by ?? options.by ?? defaults.by) };
    if (reason !== undefined) headers[H.reason] = headerText(reason);
    return caller.ask({ subject: names.verb(verb, requireActorId(id)), headers, read: readTask });
  };
  const cluster = <T>(verb: ClusterVerb, body?: object): Promise<T> => {
    const data = body === undefined ? NOTHING : encodeBody(body, JSON_TYPE);
    return caller.ask({
      subject: names.cluster(verb),
      data,
      tryMs: CLUSTER_TRY_MS,
      besideMs: CLUSTER_BESIDE_MS,
      read: (message) => readBody(message) as T,
    });
  };

  const instances = (): InstanceParts => ({ client, caller, names, newId, newEventId });
  const client: Client = {
    submit: async (request) => {
      const { driver, data, headers } = encodeSubmit(request, newId);
      const { view } = await caller.ask({ subject: names.submit(driver), data, headers, read: readTask });
      return createTaskHandle(client, view);
    },
    run: async (request, wait) => {
      const { driver, id, data, headers } = encodeSubmit(request, newId);
      return untilResponse(caller, names, id, wait, { subject: names.submit(driver), data, headers });
    },
    batch: async ({ tasks, correlationId = newId(), ...rest }) => {
      const body: BatchRequest = { ...rest, tasks: normalizeTasks(tasks, newId), correlationId };
      const headers = { [H.contentType]: MSGPACK_TYPE };
      const read = (message: Parameters<typeof readBody>[0]): BatchReply => readBody(message) as BatchReply;
      return caller.ask({
        subject: names.batch,
        data: encodeBody(body, MSGPACK_TYPE),
        headers,
        tryMs: BATCH_TRY_MS,
        besideMs: BATCH_TRY_MS,
        read,
      });
    },
    get: async (id) => (await caller.ask({ subject: names.verb("get", requireActorId(id)), read: readTask })).view,
    wait: async (id, wait) => untilEnded(caller, names, requireActorId(id), wait),
    response: async (id, wait) => untilResponse(caller, names, requireActorId(id), wait),
    watch: (id, watch) => {
      const newInbox = (): string => `${inboxRoot}.${++inboxes}`;
      return watchTask({ bus, caller, moves, names, newInbox }, requireActorId(id), watch);
    },
    cancel: async (id, decision) => (await decide("cancel", id, decision)).view,
    retry: async (id, retry) => {
      const newTask = requireId(retry?.id ?? newId());
      return createTaskHandle(client, (await decide("retry", id, retry, { [H.id]: newTask })).view);
    },
    end: async (id, decision) => (await decide("end", id, decision)).view,
    start: (machine, input, start = {}) => startInstance(instances(), machine, input, start),
    schedule: ({ id, ...spec }, start = {}) =>
      startInstance(instances(), SCHEDULE, spec, { retention: SCHEDULE_RETENTION, ...start, id }),
    plan: (definition, start = {}) => startInstance(instances(), PLAN, definition, start),
    instance: (id) => createInstance(instances(), id),
    list: (request = {}) => cluster<ListReply>("list", request),
    listAll: (request) => listAll(client, request),
    nodes: async () => (await cluster<{ nodes: readonly NodeView[] }>("nodes")).nodes,
    agents: async () => (await cluster<{ agents: readonly AgentView[] }>("agents")).agents,
    shards: () => cluster<ShardMap>("shards"),
    close: async () => {
      caller.close();
      moves.close();
    },
  };
  return client;
}

async function* listAll(client: Client, request: ListRequest = {}): AsyncGenerator<ActorSummary, void, void> {
  for (let { cursor } = request; ;) {
    const page = await client.list(cursor === undefined ? request : { ...request, cursor });
    yield* page.tasks;
    cursor = page.cursor;
    if (cursor === undefined) return;
  }
}
