import { InvalidError, UnavailableError } from "../base/errors.ts";
import { isIn } from "../machines/machine-state.ts";
import type { MachineView } from "../views/machine-view.ts";
import { H, MSGPACK_TYPE } from "../wire/headers.ts";
import { encodeValue, type StartOptions } from "../wire/start.ts";
import { requireActorId, requireId, requireName, type Names } from "../wire/subjects.ts";
import type { AcceptedEvents, Client, Instance, InstanceEvent, SendOptions, Until } from "./api.ts";
import type { Caller } from "./caller.ts";
import { readBody, readTask, type TaskReply } from "./task-reply.ts";
import type { WaitOptions } from "./wait.ts";

export interface InstanceParts {
  readonly client: Client;
  readonly caller: Caller;
  readonly names: Names;
  readonly newId: () => string;
  readonly newEventId: (instance: string) => string;
}

const NO_INPUT = { data: new Uint8Array(), contentType: MSGPACK_TYPE };

/** Starts an instance. The same id again finds the same instance. */
export async function startInstance(
  parts: InstanceParts,
  machine: string,
  input: unknown,
  options: StartOptions,
): Promise<Instance> {
  const { caller, names, newId } = parts;
  requireName("machine", machine);
  const id = requireId(options.id ?? newId());
  const { data, contentType } = input === undefined ? NO_INPUT : encodeValue(input, "input");
  const headers: Record<string, string> = { [H.id]: id, [H.contentType]: contentType };
  if (options.version !== undefined) headers[H.machineVersion] = options.version;
  if (options.correlationId !== undefined) headers[H.correlationId] = options.correlationId;
  if (options.tags !== undefined) headers[H.tags] = options.tags.join(",");
  if (options.retention !== undefined)
    headers[H.retention] = typeof options.retention === "number" ? `${options.retention}ms` : options.retention;
  await caller.ask({ subject: names.start(machine), data, headers, read: readTask });
  return createInstance(parts, id);
}

export function createInstance(parts: InstanceParts, id: string): Instance {
  const { client, caller, names, newEventId } = parts;
  requireActorId(id);
  const send = async (
    event: InstanceEvent,
    options: SendOptions,
    until: UntilQuestion | undefined,
  ): Promise<TaskReply> => {
    const { data, contentType } = encodeValue(event, "event");
    const eventId = options.eventId ?? newEventId(id);
    const headers = { [H.contentType]: contentType, [H.eventId]: eventId, ...until?.headers };
    const { waitUntil, signal } = until ?? {};
    const waiting = { waitUntil, waitFor: id, forgettable: true, signal };
    return caller.ask({ subject: names.verb("send", id), data, headers, ...waiting, read: readTask });
  };
  const settle = async (question: UntilQuestion, first?: TaskReply): Promise<TaskReply> => {
    let reply = first;
    while (reply === undefined || !(reply.final || question.met(viewOf(reply)))) {
      if (reply !== undefined && caller.clock.monotonic() >= question.waitUntil) return reply;
      const { headers, waitUntil, signal } = question;
      const waiting = { waitUntil, waitFor: id, shard: reply?.shard, signal };
      reply = await caller.ask({ subject: names.verb("wait", id), headers, ...waiting, read: readTask });
    }
    return reply;
  };
  return {
    id,
    get: async () => viewOf(await caller.ask({ subject: names.verb("get", id), read: readTask })),
    send: async (event, options = {}) => viewOf(await send(event, options, undefined)),
    ask: async (event, options = {}) => {
      const question = questionOf(caller, options);
      const reply = await settle(question, await send(event, options, question));
      const view = viewOf(reply);
      if (reply.final || question.met(view)) return view;
      throw notYet(id, options.timeoutMs);
    },
    wait: async (options = {}) => viewOf(await settle(questionOf(caller, options))),
    output: async (options = {}) => {
      const response = await client.response(id, options);
      return response.data.length === 0 ? undefined : response.json();
    },
    watch: (options) => client.watch(id, options) as AsyncIterable<unknown> as AsyncIterable<MachineView>,
    can: () => caller.ask({ subject: names.verb("can", id), read: (message) => readBody(message) as AcceptedEvents }),
    migrate: async (version) => {
      const headers: Record<string, string> = version === undefined ? {} : { [H.machineVersion]: version };
      return viewOf(await caller.ask({ subject: names.verb("migrate", id), headers, read: readTask }));
    },
    cancel: async (options) => (await client.cancel(id, options)) as unknown as MachineView,
    retry: async (options) => createInstance(parts, (await client.retry(id, options)).id),
    end: async (options) => (await client.end(id, options)) as unknown as MachineView,
  };
}

interface UntilQuestion {
  readonly headers: Readonly<Record<string, string>>;
  readonly waitUntil: number;
  readonly signal: AbortSignal | undefined;
  readonly met: (view: MachineView) => boolean;
}

function questionOf(caller: Caller, { state, tag, timeoutMs = Infinity, signal }: WaitOptions & Until): UntilQuestion {
  if (state !== undefined && tag !== undefined)
    throw new InvalidError("INVALID_OPTION", "until: a state and a tag are given; give only one of them");
  const until = state === undefined ? tag : state;
  return {
    headers: until === undefined ? {} : { [H.until]: `${state === undefined ? "tag" : "state"}:${until}` },
    waitUntil: caller.clock.monotonic() + timeoutMs,
    signal,
    met: (view) => (state === undefined ? tag !== undefined && view.stateTags.includes(tag) : isIn(view.value, state)),
  };
}

function viewOf(reply: TaskReply): MachineView {
  return reply.view as unknown as MachineView;
}

function notYet(id: string, timeoutMs: number | undefined): UnavailableError {
  return new UnavailableError(
    "REQUEST_TIMEOUT",
    `${id} did not reach the state within ${timeoutMs} ms; it continues, and you can wait for it again`,
  );
}
