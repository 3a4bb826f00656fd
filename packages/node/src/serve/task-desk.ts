import {
  ConflictError,
  H,
  InvalidError,
  headerText,
  isActorId,
  isMachineState,
  taskLimits,
  taskMachine,
  type ActorState,
  type MachineRecordState,
  type MachineRegistry,
  type Message,
  type StartSpec,
  type TaskSpec,
} from "@ergon/core";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { taskOf } from "../dispatch/task-state.ts";
import type { NodeContext } from "../node-context.ts";
import type { HomeShard, LiveActor } from "../shard/actor.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Sending } from "../shard/hosting.ts";
import type { Admission } from "./admission-desk.ts";
import { askingOf, untilOf, waitMs } from "./asking.ts";
import { describeEmbedded, hasEnded, statusText, type Extra } from "./describe.ts";
import type { Asking, Listeners } from "./listeners.ts";
import { requirePlace } from "./places.ts";
import { notFound, refused } from "./refusals.ts";
import { readStored } from "./stored-tasks.ts";

/** What `retry` starts. */
export type Repetition =
  | { readonly kind: "task"; readonly id: string; readonly spec: TaskSpec }
  | { readonly kind: "instance"; readonly id: string; readonly spec: StartSpec };

/** Reads the tasks of shards that this node serves, and decides over them. */
export class TaskDesk {
  readonly #context: NodeContext;
  readonly #host: Sending;
  readonly #dispatcher: Dispatcher;
  readonly #listeners: Listeners;
  readonly #machines: MachineRegistry;

  constructor(
    context: NodeContext,
    host: Sending,
    dispatcher: Dispatcher,
    listeners: Listeners,
    machines: MachineRegistry,
  ) {
    this.#context = context;
    this.#host = host;
    this.#dispatcher = dispatcher;
    this.#listeners = listeners;
    this.#machines = machines;
  }

  /** Answers a submit once its outcome is known. */
  answerSubmit(message: Message, outcome: Admission, shard: HostedShard): void {
    if (outcome.kind === "refused") return this.#listeners.fail(message.reply, outcome.error);
    if (message.reply === undefined) return;
    this.answerOrWait(message, shard, outcome.actor, outcome.state);
  }

  /** A verb on the shard's subject. */
  async take(shard: HostedShard, verb: string, id: string, message: Message): Promise<void> {
    switch (verb) {
      case "get":
      case "wait":
      case "watch":
        return this.#read(shard, verb, id, message);
      case "cancel":
      case "end":
        return this.#decide(shard, verb, id, message);
      default:
        throw new InvalidError("INVALID_SUBJECT", `"${verb}" is not a verb of a shard`);
    }
  }

  /** The ended or live task or instance that `retry` repeats, under a new id. Throws `ConflictError` unless it failed or was cancelled. */
  async repeatable(shard: HostedShard, id: string, newId: string | undefined): Promise<Repetition> {
    const live = shard.actors.get(id);
    const state = live === undefined ? await this.#lookUp(shard, id) : this.#host.committed(live);
    if (state === undefined) throw notFound(id);
    const status = statusText(state);
    if (status !== "failed" && status !== "cancelled")
      throw new ConflictError("TASK_NOT_FAILED", `${id} is ${status}; only what failed or was cancelled is run again`);
    if (isMachineState(state)) return { kind: "instance", ...instanceAgain(state, newId) };
    const task = taskOf(state);
    const spec: { -readonly [K in keyof TaskSpec]: TaskSpec[K] } = {
      id: newId ?? nextId(id),
      driver: task.driver,
      payload: task.payload,
      origin: id,
    };
    if (task.contentType !== undefined) spec.contentType = task.contentType;
    if (task.correlationId !== undefined) spec.correlationId = task.correlationId;
    if (task.resource !== undefined) spec.resource = task.resource;
    if (task.arguments !== undefined) spec.arguments = task.arguments;
    if (task.tags !== undefined) spec.tags = task.tags;
    if (task.options !== undefined) spec.options = task.options;
    return { kind: "task", id: checkedId(spec.id), spec };
  }

  async #read(shard: HostedShard, verb: "get" | "wait" | "watch", id: string, message: Message): Promise<void> {
    if (message.reply === undefined) return;
    const actor = shard.actors.get(id);
    const state = actor === undefined ? await this.#lookUp(shard, id) : this.#host.committed(actor);
    // Just being created: there is nothing to read before it is stored.
    if (actor !== undefined && state === undefined)
      return this.#whenStored(actor, message, () => this.#read(shard, verb, id, message));
    if (state === undefined) throw notFound(id);
    if (verb === "wait") {
      if (!hasEnded(state)) requirePlace(message, isMachineState(state) ? state.machine : taskMachine);
      return this.answerOrWait(message, shard, actor, state);
    }
    const to = askingOf(message);
    this.#answer(to, shard, actor, state);
    if (verb === "watch" && actor !== undefined && !hasEnded(state)) this.#listeners.watch(actor, to);
  }

  /** Answers with the actor as it stands, or as it will when what the message waits for has come. */
  answerOrWait(message: Message, shard: HomeShard, actor: LiveActor | undefined, state: ActorState): void {
    const to = askingOf(message);
    const wait = message.header(H.wait);
    const until = untilOf(message);
    if (wait === undefined || actor === undefined || hasEnded(state) || until?.(state) === true)
      return this.#answer(to, shard, actor, state);
    this.#listeners.wait(actor, to, waitMs(wait), until);
  }

  #answer(to: Asking, shard: HomeShard, actor: LiveActor | undefined, state: ActorState): void {
    this.#listeners.answer(to, shard.number, state, actor === undefined ? undefined : this.#extraOf(actor, state));
  }

  #extraOf(actor: LiveActor, state: ActorState): Extra {
    if (isMachineState(state)) return { tasks: describeEmbedded(actor) };
    return { progress: actor.flight?.progress, reason: this.#dispatcher.waitingFor(actor.state ?? state) };
  }

  async #decide(shard: HostedShard, verb: "cancel" | "end", id: string, message: Message): Promise<void> {
    const by = (message.header(H.by) ?? "client").slice(0, 128);
    const reason = (message.header(H.reason) ?? "").slice(0, taskLimits.reasonLength);
    const actor = shard.actors.get(id);
    if (actor !== undefined) {
      const event = { type: verb, by: headerText(by), reason: headerText(reason) };
      const answer = (): void => {
        const stored = this.#host.committed(actor);
        if (message.reply !== undefined && stored !== undefined) this.#answer(askingOf(message), shard, actor, stored);
      };
      if (this.#host.send(actor, event, answer)) return;
      if (this.#host.wake(actor).snapshot.status === "active") return this.#whenStored(actor, message, answer);
      // It has ended, and that is being stored: then it is asked again.
      if (!actor.writing.isDone) return this.#whenStored(actor, message, () => this.#decide(shard, verb, id, message));
    }
    const state = actor?.committed ?? (await this.#lookUp(shard, id));
    if (state === undefined) throw notFound(id);
    const answer = (): void => {
      if (message.reply !== undefined) this.#answer(askingOf(message), shard, undefined, state);
    };
    const status = statusText(state);
    const { failure } = isMachineState(state) ? state.meta : taskOf(state);
    // The repetition of a decision whose answer was lost.
    const repeated = verb === "cancel" ? status === "cancelled" : failure?.code === "ENDED_BY_FORCE";
    if (repeated) return answer();
    throw new ConflictError("TASK_ENDED", `${id} has ended: ${status}`);
  }

  /** Goes on with a request once what its actor is now is stored. */
  #whenStored(actor: LiveActor, message: Message, run: () => void | Promise<void>): void {
    this.#host.whenStored(actor, (refusal) => {
      const pending = refusal === undefined ? run() : Promise.reject(refused(refusal));
      pending?.catch((error: unknown) => this.#listeners.fail(message.reply, error));
    });
  }

  #lookUp(shard: HostedShard, id: string): Promise<ActorState | undefined> {
    return readStored(this.#context, this.#machines, shard, id);
  }
}

/** An instance that goes on where this one has stopped, of a machine that says how. */
function instanceAgain(state: MachineRecordState, newId: string | undefined): { id: string; spec: StartSpec } {
  const { machine, meta } = state;
  const { id, correlationId, tags, retentionMs } = meta;
  if (machine.again === undefined)
    throw new ConflictError("TASK_NOT_FAILED", `${id} is an instance of ${machine.name}, which is not run again`);
  const { name, version } = machine;
  const input = machine.again(state);
  const spec: StartSpec = { machine: name, version, input, correlationId, tags, retentionMs, origin: id };
  return { id: checkedId(newId ?? nextId(id)), spec };
}

function checkedId(id: string): string {
  if (isActorId(id)) return id;
  throw new InvalidError("INVALID_ID", `id: "${id}" is not an id; name the new one with ${H.id}`);
}

function nextId(id: string): string {
  const series = /^(.*)-r(\d+)$/.exec(id);
  return series === null ? `${id}-r2` : `${series[1] ?? ""}-r${Number(series[2]) + 1}`;
}
