import {
  ConflictError,
  H,
  InvalidError,
  JSON_TYPE,
  MSGPACK_TYPE,
  NotFoundError,
  StaleError,
  UnavailableError,
  decodeBody,
  decodeError,
  decodeRecord,
  encodeBody,
  headerText,
  isId,
  mediaType,
  parseDuration,
  statusOf,
  taskLimits,
  taskMachine,
  type ActorState,
  type Failure,
  type MachineRegistry,
  type Message,
  type TaskSpec,
} from "@ergon/core";

import type { Dispatcher } from "../dispatch/dispatcher.ts";
import { taskOf } from "../dispatch/task-state.ts";
import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { Refusal } from "../shard/commit-queue.ts";
import type { Host } from "../shard/host.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Asking, Listeners } from "./listeners.ts";
import { sameSpec } from "./same-spec.ts";

const LONGEST_WAIT_MS = 3_600_000;
/** A submit that meets a task of a batch that is not decided yet looks again after so long. */
const UNDECIDED_MS = 100;
/** After so many looks the decision is asked for; after so many more the submit is given back. */
const PATIENT_LOOKS = 10;
const MOST_LOOKS = 50;
/** Room that a record needs beside payload, response and what the client attached: history, failure, decisions, names. */
const RECORD_BYTES = 24_576;

/** Answers what is asked of the tasks of shards that this node serves. */
export class TaskDesk {
  readonly #context: NodeContext;
  readonly #host: Host;
  readonly #dispatcher: Dispatcher;
  readonly #listeners: Listeners;
  readonly #machines: MachineRegistry;
  /** A held task's batch should have been decided long ago. */
  undecided: (actor: LiveActor) => void = () => undefined;
  /** Ids that are being looked up, with those who asked meanwhile. */
  readonly #lookups = new Map<string, (() => void)[]>();

  constructor(
    context: NodeContext,
    host: Host,
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

  /**
   * Stores a task, or answers with the one that has its id already. `fresh`: the id was made here just now, so nothing can be stored under it.
   * `done` hears of the outcome once it is stored.
   */
  submit(
    shard: HostedShard,
    spec: TaskSpec,
    fresh: boolean,
    done: (outcome: Admission) => void,
    batch?: string,
    looks = 0,
  ): void {
    const live = shard.actors.get(spec.id);
    if (live !== undefined) return this.#meet(live, spec, done, batch, looks);
    if (shard.unreadable.has(spec.id))
      return done({ kind: "refused", error: unreadable(spec.id, shard.unreadable.get(spec.id) ?? "") });
    if (fresh) return this.#create(shard, spec, done, batch);
    const others = this.#lookups.get(spec.id);
    if (others !== undefined) {
      others.push(() => this.submit(shard, spec, false, done, batch));
      return;
    }
    this.#lookups.set(spec.id, []);
    void this.#lookUp(shard, spec.id)
      .then(
        (state) => {
          if (shard.phase === "closed") done({ kind: "refused", error: moved(shard) });
          else if (state !== undefined) done(this.#existing(undefined, state, spec));
          else this.#create(shard, spec, done, batch);
        },
        (error: unknown) => done({ kind: "refused", error }),
      )
      .finally(() => {
        const waiting = this.#lookups.get(spec.id) ?? [];
        this.#lookups.delete(spec.id);
        for (const next of waiting) next();
      });
  }

  /** Answers a submit once its outcome is known. */
  answerSubmit(message: Message, outcome: Admission, shard: HostedShard): void {
    if (outcome.kind === "refused") return this.#listeners.fail(message.reply, outcome.error);
    if (message.reply === undefined) return;
    this.#answerOrWait(message, shard, outcome.actor, outcome.state);
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
      case "admit":
        return this.#admit(shard, id, message);
      case "release":
        return this.release(shard, id, textOf(message));
      case "discard":
        return this.discard(shard, id, textOf(message));
      default:
        throw new InvalidError("INVALID_SUBJECT", `"${verb}" is not a verb of a shard`);
    }
  }

  /** The ended or live task that `retry` repeats, as a spec under a new id. Throws `ConflictError` unless it failed or was cancelled. */
  async repeatable(shard: HostedShard, id: string, newId: string | undefined): Promise<TaskSpec> {
    const live = shard.actors.get(id);
    const state = live === undefined ? await this.#lookUp(shard, id) : this.#host.committed(live);
    if (state === undefined) throw notFound(id);
    const task = taskOf(state);
    const status = statusOf(task);
    if (status !== "failed" && status !== "cancelled") {
      throw new ConflictError(
        "TASK_NOT_FAILED",
        `task ${id} is ${status}; only failed and cancelled tasks are run again`,
      );
    }
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
    if (!isId(spec.id))
      throw new InvalidError("INVALID_ID", `id: "${spec.id}" is not an id; name the new task with ${H.id}`);
    return spec;
  }

  /** An agent's answer, or the server's word that nobody received the attempt. */
  reply(shard: HostedShard, id: string, attempt: number, message: Message): void {
    const actor = shard.actors.get(id);
    const flight = actor?.flight;
    if (message.noResponders) {
      if (actor !== undefined && flight?.attempt === attempt) this.#dispatcher.undelivered(actor);
      return;
    }
    const kind = message.header(H.event);
    const agent = message.header(H.agent);
    if (actor === undefined || flight === undefined || flight.attempt !== attempt)
      return this.#stale(id, attempt, agent, message);
    const now = this.#context.clock.monotonic();
    flight.heardAt = now;
    if (flight.agent === undefined) this.#dispatcher.served(actor);
    else {
      const entry = this.#dispatcher.agents.get(flight.agent);
      if (entry !== undefined) entry.heardAt = now;
    }
    if (kind === "claimed" || kind === "heartbeat" || kind === "progress") {
      if (kind === "progress") {
        actor.progress = decodeBody(message.data, message.header(H.contentType));
        this.#listeners.progressed(actor);
      }
      if (this.#dispatcher.offered.delete(actor)) this.#host.send(actor, { type: "taken", attempt, agent });
      return;
    }
    const event = answerEvent(message, kind, attempt, agent);
    const accepted = this.#host.send(
      actor,
      event.type === "succeeded" ? this.#fitting(actor, attempt, event, message.data.length) : event,
      (refusal) => {
        if (message.reply !== undefined && refusal === undefined)
          this.#context.ports.bus.publish(message.reply, NO_BYTES);
      },
    );
    if (!accepted) this.#stale(id, attempt, agent, message);
  }

  /** A held task's batch is admitted: it goes on. Its record may go on saying "held": whoever reads it asks for the decision. */
  release(shard: HostedShard, id: string, batch: string): void {
    const actor = shard.actors.get(id);
    if (actor !== undefined && this.#isHeldBy(actor, batch)) this.#host.send(actor, { type: "release" });
  }

  /** A held task's batch is refused: it was never there. */
  discard(shard: HostedShard, id: string, batch: string): void {
    const actor = shard.actors.get(id);
    if (actor !== undefined && this.#isHeldBy(actor, batch)) this.#host.erase(actor);
  }

  #isHeldBy(actor: LiveActor, batch: string): boolean {
    return !actor.erased && taskOf(this.#host.wake(actor)).batch === batch;
  }

  #create(shard: HostedShard, spec: TaskSpec, done: (outcome: Admission) => void, batch: string | undefined): void {
    const at = this.#context.clock.now();
    const agent = batch === undefined ? this.#dispatcher.agentFor(spec) : undefined;
    const actor = this.#host.create(
      shard,
      spec.id,
      taskMachine,
      { spec, at, chance: 0, batch, agent },
      at,
      (refusal) => {
        if (refusal !== undefined) done({ kind: "refused", error: refused(refusal) });
        else done(this.#admitted(actor));
      },
    );
  }

  /** A submit whose id is live already: answered once that task is stored, since a reply means stored (law 1). */
  #meet(
    actor: LiveActor,
    spec: TaskSpec,
    done: (outcome: Admission) => void,
    batch: string | undefined,
    looks: number,
  ): void {
    const { shard } = actor;
    this.#host.whenStored(actor, (refusal) => {
      if (refusal !== undefined) return done({ kind: "refused", error: refused(refusal) });
      // Whether a held task is there at all is for its own batch to decide, which takes moments, unless its coordinator is dead.
      const holder = taskOf(this.#host.wake(actor)).batch;
      if (holder !== undefined && holder !== batch) {
        if (looks === PATIENT_LOOKS && !actor.erased) this.undecided(actor);
        this.#context.clock.after(UNDECIDED_MS, () => {
          // Longer than its coordinator waits, an admission must not go on.
          if (shard.phase === "closed" || looks >= MOST_LOOKS) done({ kind: "refused", error: moved(shard) });
          else this.submit(shard, spec, false, done, batch, looks + 1);
        });
        return;
      }
      const admission = this.#admitted(actor);
      done(admission.kind === "refused" ? admission : this.#existing(actor, admission.state, spec));
    });
  }

  #admitted(actor: LiveActor): Admission {
    const state = this.#host.committed(actor);
    return state === undefined ? { kind: "refused", error: moved(actor.shard) } : { kind: "admitted", actor, state };
  }

  #existing(actor: LiveActor | undefined, state: ActorState, spec: TaskSpec): Admission {
    if (sameSpec(taskOf(state), spec)) return { kind: "admitted", actor, state };
    const message = `id ${spec.id} is taken by a task with another payload or other arguments; choose another id`;
    return { kind: "refused", error: new ConflictError("ID_CONFLICT", message) };
  }

  /** A response shares its record with the payload: one that does not fit beside it is a final failure. */
  #fitting<T extends { type: string }>(
    actor: LiveActor,
    attempt: number,
    event: T,
    bytes: number,
  ): T | { type: "failed"; attempt: number; failure: Failure } {
    const most = this.#context.ports.bus.maxMessageBytes - RECORD_BYTES - bytesOf(taskOf(this.#host.wake(actor)));
    if (bytes <= most) return event;
    const message = `the response has ${bytes} bytes; ${Math.max(0, most)} fit into the record beside the payload`;
    return { type: "failed", attempt, failure: { code: "RESPONSE_TOO_LARGE", message, retryable: false } };
  }

  #stale(id: string, attempt: number, agent: string | undefined, message: Message): void {
    if (message.reply !== undefined) {
      this.#listeners.fail(
        message.reply,
        new StaleError(`attempt ${attempt} of task ${id} is not the current one; its answer was not recorded`),
      );
    } else if (agent !== undefined) {
      this.#dispatcher.abort(agent, id, attempt, "lost");
    }
  }

  async #read(shard: HostedShard, verb: "get" | "wait" | "watch", id: string, message: Message): Promise<void> {
    if (message.reply === undefined) return;
    const actor = shard.actors.get(id);
    const state = actor === undefined ? await this.#lookUp(shard, id) : this.#host.committed(actor);
    // Just being created: there is nothing to read before it is stored.
    if (actor !== undefined && state === undefined)
      return this.#whenStored(actor, message, () => this.#read(shard, verb, id, message));
    if (state === undefined) throw notFound(id);
    if (verb === "wait") return this.#answerOrWait(message, shard, actor, state);
    const to = askingOf(message);
    this.#answer(to, shard, actor, state);
    if (verb === "watch" && actor !== undefined && state.snapshot.status === "active") this.#listeners.watch(actor, to);
  }

  #answerOrWait(message: Message, shard: HostedShard, actor: LiveActor | undefined, state: ActorState): void {
    const to = askingOf(message);
    const wait = message.header(H.wait);
    if (wait === undefined || actor === undefined || state.snapshot.status !== "active")
      return this.#answer(to, shard, actor, state);
    this.#listeners.wait(actor, to, waitMs(wait));
  }

  #answer(to: Asking, shard: HostedShard, actor: LiveActor | undefined, state: ActorState): void {
    const extra =
      actor === undefined ? undefined : { progress: actor.progress, reason: this.#dispatcher.waitingFor(state) };
    this.#listeners.answer(to, shard.number, state, extra);
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
      // It has ended, and that is being stored: then it is asked again, and found in the store.
      return this.#whenStored(actor, message, () => this.#decide(shard, verb, id, message));
    }
    const state = await this.#lookUp(shard, id);
    if (state === undefined) throw notFound(id);
    const answer = (): void => {
      if (message.reply !== undefined) this.#answer(askingOf(message), shard, undefined, state);
    };
    const status = statusOf(taskOf(state));
    // The repetition of a decision whose answer was lost.
    const repeated = verb === "cancel" ? status === "cancelled" : taskOf(state).failure?.code === "ENDED_BY_FORCE";
    if (repeated) return answer();
    throw new ConflictError("TASK_ENDED", `task ${id} has ended: ${status}`);
  }

  /** Goes on with a request once what its actor is now is stored. */
  #whenStored(actor: LiveActor, message: Message, run: () => void | Promise<void>): void {
    this.#host.whenStored(actor, (refusal) => {
      const pending = refusal === undefined ? run() : Promise.reject(refused(refusal));
      pending?.catch((error: unknown) => this.#listeners.fail(message.reply, error));
    });
  }

  #admit(shard: HostedShard, id: string, message: Message): void {
    checkWait(message);
    const { spec, batch } = decodeBody(message.data, MSGPACK_TYPE) as { spec?: TaskSpec; batch?: string };
    if (!isSpec(spec) || spec.id !== id) throw new InvalidError("INVALID_BODY", "the body is not a task's spec");
    this.submit(shard, spec, false, (outcome) => this.answerSubmit(message, outcome, shard), batch);
  }

  async #lookUp(shard: HostedShard, id: string): Promise<ActorState | undefined> {
    const reason = shard.unreadable.get(id);
    if (reason !== undefined) throw unreadable(id, reason);
    const stored = await this.#context.ports.records.read(shard.number, id);
    if (stored === undefined || stored.data.length === 0) return undefined;
    const record = decodeRecord(stored.data, this.#machines);
    if (record.kind === "unreadable") throw unreadable(id, record.reason);
    return record.state;
  }
}

/** What came of a submit. `actor` is absent when the task had ended before. */
export type Admission =
  | { readonly kind: "admitted"; readonly actor: LiveActor | undefined; readonly state: ActorState }
  | { readonly kind: "refused"; readonly error: unknown };

/** The error that a client gets for the store's refusal. */
export function refused(refusal: Refusal): Error {
  const { code, message } = refusal;
  return code === "PAYLOAD_TOO_LARGE" || code === "NOT_PERMITTED"
    ? new InvalidError(code, message)
    : new UnavailableError(code, message);
}

export function moved(shard: HostedShard): Error {
  return new UnavailableError("SHARD_MOVED", `shard ${shard.number} has moved to another node; ask again`, {
    retryAfterMs: 100,
  });
}

export function askingOf(message: Message): Asking {
  return {
    reply: message.reply ?? "",
    accept: mediaType(message.header(H.accept)) === MSGPACK_TYPE ? MSGPACK_TYPE : JSON_TYPE,
    raw: message.header(H.answer) === "response",
  };
}

/** The body of an `admit`: a whole spec, from one node to another. */
export function encodeAdmission(spec: TaskSpec, batch?: string): Uint8Array {
  return encodeBody({ spec, batch }, MSGPACK_TYPE);
}

/** Throws `InvalidError` for a bad `Ergon-Wait`: before anything is stored. */
export function checkWait(message: Message): void {
  const wait = message.header(H.wait);
  if (wait !== undefined) waitMs(wait);
}

function waitMs(text: string): number {
  const ms = parseDuration(text);
  const fault = `${H.wait}: must be a duration such as 30s`;
  if (ms === undefined)
    throw new InvalidError("INVALID_OPTION", fault, {
      issues: [{ field: H.wait, code: "INVALID_OPTION", message: fault }],
    });
  return Math.min(ms, LONGEST_WAIT_MS);
}

function answerEvent(
  message: Message,
  kind: string | undefined,
  attempt: number,
  agent: string | undefined,
): { type: string; [field: string]: unknown } {
  if (kind === "returned") return { type: "returned", attempt, reason: message.header(H.reason) ?? "handed back" };
  const error = decodeError(message);
  if (kind === "failed" || error !== undefined) {
    const failure = {
      code: (error?.code ?? "AGENT_FAILED").slice(0, 64),
      message: (error?.message ?? "the agent gave no reason").slice(0, 1_024),
      retryable: error === undefined || error.kind === "retryable" || error.kind === "unavailable",
    };
    return { type: "failed", attempt, agent, failure, retryAfterMs: error?.retryAfterMs };
  }
  if (kind !== undefined && kind !== "succeeded")
    throw new InvalidError(
      "INVALID_OPTION",
      `${H.event}: "${headerText(kind).slice(0, 64)}" is not an event of an attempt`,
    );
  // The bytes are a slice of what came from the socket: a copy lets go of the rest.
  return {
    type: "succeeded",
    attempt,
    agent,
    response: Buffer.from(message.data),
    contentType: message.header(H.contentType),
  };
}

/** What a client put into a task, in bytes. */
export function bytesOf({
  payload,
  arguments: agentArguments,
  resource = "",
  tags = [],
  correlationId = "",
  contentType = "",
}: Omit<TaskSpec, "id">): number {
  const texts = JSON.stringify([agentArguments ?? {}, resource, tags, correlationId, contentType]);
  return payload.length + Buffer.byteLength(texts);
}

function textOf(message: Message): string {
  return Buffer.from(message.data).toString();
}

function nextId(id: string): string {
  const series = /^(.*)-r(\d+)$/.exec(id);
  return series === null ? `${id}-r2` : `${series[1] ?? ""}-r${Number(series[2]) + 1}`;
}

function notFound(id: string): Error {
  return new NotFoundError("TASK_NOT_FOUND", `no task ${id}, live or retained`);
}

function unreadable(id: string, reason: string): Error {
  return new ConflictError(
    "TASK_UNREADABLE",
    `the record of ${id} cannot be read here: ${reason}; it was left as it is`,
  );
}

function isSpec(value: unknown): value is TaskSpec {
  if (typeof value !== "object" || value === null) return false;
  const { id, driver, payload, options } = value as Record<string, unknown>;
  return (
    typeof id === "string" &&
    isId(id) &&
    typeof driver === "string" &&
    payload instanceof Uint8Array &&
    (options === undefined || typeof options === "object")
  );
}
