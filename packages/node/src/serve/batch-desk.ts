import {
  H,
  InvalidError,
  UnavailableError,
  createIdFactory,
  decodeBody,
  decodeError,
  encodeBody,
  isErgonError,
  isoTime,
  messageOf,
  parseIsoTime,
  parseTaskRequest,
  shardOf,
  statusOf,
  taskLimits,
  taskOption,
  type BatchEntry,
  type Issue,
  type Message,
  type TaskSpec,
} from "@ergon/core";

import type { AgentsTable } from "../dispatch/agents-table.ts";
import { liveStateOf, taskOf } from "../dispatch/task-state.ts";
import type { NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { Host } from "../shard/host.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import { encodeAdmission, type AdmissionDesk } from "./admission-desk.ts";
import { askingOf } from "./asking.ts";
import { issuesOf, rejected, requireBatch } from "./batch-request.ts";
import type { Gateway } from "./gateway.ts";
import { moved } from "./refusals.ts";

const DECISION_MARGIN_MS = 86_400_000;
/** A hundred years. The server counts in nanoseconds, which end after 292: what it is told to keep for longer may be gone at once. */
const LONGEST_LIFE_MS = 3_155_760_000_000;
const ADMIT_TIMEOUT_MS = 10_000;
/** A held task whose coordinator said nothing for so long asks for the decision, which refuses the batch if there is none yet. */
const DECIDE_AFTER_MS = 15_000;

interface Admitted {
  readonly spec: TaskSpec;
  readonly actor: LiveActor | undefined;
  readonly scheduledAt: number;
  readonly status: BatchEntry["status"];
}

interface Refused {
  readonly code: string;
  readonly message: string;
  /** The same batch may be admitted when it is sent again. */
  readonly passing: boolean;
}

/**
 * Batches: all tasks are admitted, or none (B-4), wherever their shards are. Each task is stored held; then one create-once key decides for all.
 * Whoever finds a held task without its coordinator asks for the decision, and thereby refuses a batch that has none. A crash at any point leaves
 * all or none.
 */
export class BatchDesk {
  readonly #context: NodeContext;
  readonly #host: Host;
  readonly #admissions: AdmissionDesk;
  readonly #agents: AgentsTable;
  readonly #hosted: ReadonlyMap<number, HostedShard>;
  readonly #newId: () => string;
  gateway: Gateway | undefined;

  constructor(
    context: NodeContext,
    host: Host,
    admissions: AdmissionDesk,
    agents: AgentsTable,
    hosted: ReadonlyMap<number, HostedShard>,
  ) {
    this.#context = context;
    this.#host = host;
    this.#admissions = admissions;
    this.#agents = agents;
    this.#hosted = hosted;
    this.#newId = createIdFactory(context.random);
  }

  async take(message: Message): Promise<void> {
    this.gateway?.requireRoom();
    const { specs, made, correlationId } = this.#parse(message);
    const batch = this.#newId();
    const outcomes = await Promise.all(specs.map((spec) => this.#admit(spec, made.has(spec.id), batch)));
    const admitted = outcomes.filter((outcome): outcome is Admitted => !("code" in outcome));
    const issues = outcomes.flatMap((outcome, index): Issue[] =>
      "code" in outcome
        ? [{ field: `tasks[${index}]`, code: outcome.code, message: `tasks[${index}]: ${outcome.message}` }]
        : [],
    );
    const lifeMs = Math.max(...specs.map((spec) => lifeOf(spec, this.#context.clock.now()))) + DECISION_MARGIN_MS;
    const decision = await this.#context.ports.leases.decide(
      `batch_${batch}`,
      issues.length === 0 ? "admitted" : "refused",
      lifeMs,
    );
    for (const { actor, spec } of admitted) this.#conclude(actor, spec.id, batch, decision);
    const lasting = outcomes.some((outcome) => "code" in outcome && !outcome.passing);
    if (lasting) throw rejected(issues);
    if (issues.length > 0 || decision !== "admitted") {
      throw new UnavailableError(
        "SHARD_MOVED",
        `nothing was stored: ${issues[0]?.message ?? "a shard moved meanwhile"}; send the batch again`,
        { issues },
      );
    }
    this.#answer(message, correlationId, admitted);
  }

  /** A held task came back from the store, or its coordinator has been silent: its batch must be decided by now. Never rejects. */
  async decideOrRetry(actor: LiveActor): Promise<void> {
    const { batch, ...spec } = taskOf(this.#host.wake(actor));
    if (batch === undefined) return;
    try {
      const decision = await this.#context.ports.leases.decide(
        `batch_${batch}`,
        "refused",
        lifeOf(spec, this.#context.clock.now()) + DECISION_MARGIN_MS,
      );
      if (actor.shard.phase !== "closed") this.#conclude(actor, actor.id, batch, decision);
    } catch (error) {
      this.#context.logger.warn(
        { id: actor.id, reason: messageOf(error) },
        "a batch's decision cannot be had; asking again",
      );
      this.#context.clock.after(DECIDE_AFTER_MS, () => void this.decideOrRetry(actor));
    }
  }

  /** Called for each new task: should its coordinator die, a held one is not left waiting. */
  watchIfHeld(actor: LiveActor): void {
    if (actor.state === undefined || liveStateOf(actor.state) !== "held") return;
    this.#context.clock.after(DECIDE_AFTER_MS, () => {
      const { state } = actor;
      if (state !== undefined && actor.shard.actors.get(actor.id) === actor && liveStateOf(state) === "held")
        void this.decideOrRetry(actor);
    });
  }

  #parse(message: Message): { specs: TaskSpec[]; made: ReadonlySet<string>; correlationId: string } {
    const { tasks, ...body } = requireBatch(decodeBody(message.data, message.header(H.contentType)));
    if (tasks.length < 1 || tasks.length > taskLimits.batchTasks) {
      const text = `tasks: must be 1 to ${taskLimits.batchTasks} tasks, not ${tasks.length}`;
      throw new InvalidError("BATCH_REJECTED", text, {
        issues: [{ field: "tasks", code: "INVALID_OPTION", message: text }],
      });
    }
    const correlationId = body.correlationId ?? this.#newId();
    const issues: Issue[] = [];
    const ids = new Set<string>();
    /** Ids that were made here just now. */
    const made = new Set<string>();
    const specs: TaskSpec[] = [];
    for (const [index, task] of tasks.entries()) {
      try {
        const submission = parseTaskRequest(task);
        const spec = this.gateway?.complete(submission);
        if (spec === undefined) continue;
        const id = submission.spec.id ?? this.gateway?.localId().id ?? this.#newId();
        if (ids.has(id))
          throw new InvalidError("INVALID_ID", `id "${id}" stands twice in the batch`, {
            issues: [{ field: "id", code: "INVALID_ID", message: "id: stands twice in the batch" }],
          });
        ids.add(id);
        if (submission.spec.id === undefined) made.add(id);
        if (body.requireAgents === true && this.#agents.credits(spec.driver).length === 0) {
          const text = `driver ${spec.driver} not found: no agent announces it`;
          throw new InvalidError("INVALID_DRIVER", text, {
            issues: [{ field: "driver", code: "INVALID_DRIVER", message: text }],
          });
        }
        specs.push({ correlationId, ...spec, id });
      } catch (error) {
        issues.push(...issuesOf(error, index));
      }
    }
    if (issues.length > 0) throw rejected(issues);
    return { specs, made, correlationId };
  }

  #admit(spec: TaskSpec, fresh: boolean, batch: string): Promise<Admitted | Refused> {
    const { clock, ports } = this.#context;
    const shard = this.#hosted.get(shardOf(spec.id, ports.records.shards));
    if (shard?.phase !== "serving") return this.#admitElsewhere(spec, batch);
    return new Promise((resolve) => {
      // A shard that is lost meanwhile says nothing more.
      const timer = clock.after(ADMIT_TIMEOUT_MS, () => resolve(refusalOf(moved(shard))));
      this.#admissions.submit(
        shard,
        spec,
        fresh,
        (outcome) => {
          clock.cancel(timer);
          if (outcome.kind === "refused") return resolve(refusalOf(outcome.error));
          const task = taskOf(outcome.state);
          resolve({ spec, actor: outcome.actor, scheduledAt: task.scheduledAt, status: statusOf(task) });
        },
        batch,
      );
    });
  }

  async #admitElsewhere(spec: TaskSpec, batch: string): Promise<Admitted | Refused> {
    const { ports, names } = this.#context;
    const subject = names.shard(shardOf(spec.id, ports.records.shards), "admit", spec.id);
    try {
      const reply = await ports.bus.request(subject, encodeAdmission(spec, batch), { timeoutMs: ADMIT_TIMEOUT_MS });
      const error = decodeError(reply);
      if (error !== undefined) return refusalOf(error);
      const view = decodeBody(reply.data, reply.header(H.contentType)) as {
        status: BatchEntry["status"];
        scheduledAt: string;
      };
      return { spec, actor: undefined, scheduledAt: parseIsoTime(view.scheduledAt), status: view.status };
    } catch (error) {
      return refusalOf(error);
    }
  }

  /** Only what the batch itself holds is released or discarded: an id may have been known before. */
  #conclude(actor: LiveActor | undefined, id: string, batch: string, decision: string): void {
    const verb = decision === "admitted" ? "release" : "discard";
    if (actor === undefined) {
      const { ports, names } = this.#context;
      ports.bus.publish(names.shard(shardOf(id, ports.records.shards), verb, id), Buffer.from(batch));
    } else if (verb === "release") this.#admissions.release(actor.shard, id, batch);
    else this.#admissions.discard(actor.shard, id, batch);
  }

  #answer(message: Message, correlationId: string, admitted: readonly Admitted[]): void {
    if (message.reply === undefined) return;
    const { accept } = askingOf(message);
    const tasks = admitted.map(({ spec, scheduledAt, status }): BatchEntry => ({
      id: spec.id,
      driver: spec.driver,
      status,
      ...(spec.resource === undefined ? {} : { resource: spec.resource }),
      scheduledAt: isoTime(scheduledAt),
    }));
    this.#context.ports.bus.publish(message.reply, encodeBody({ correlationId, tasks }, accept), {
      headers: { [H.contentType]: accept },
    });
  }
}

/** The longest life of a task from `now`, so that a batch's decision outlives every task of it, as far as the server can count. */
function lifeOf(spec: Pick<TaskSpec, "options" | "notBefore">, now: number): number {
  return Math.min(LONGEST_LIFE_MS, Math.max(0, (spec.notBefore ?? 0) - now) + taskOption(spec, "totalTimeoutMs"));
}

function refusalOf(error: unknown): Refused {
  const known = isErgonError(error) ? error : undefined;
  return { code: known?.code ?? "INTERNAL", message: messageOf(error), passing: known?.kind === "unavailable" };
}
