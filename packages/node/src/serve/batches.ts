import { createHash } from "node:crypto";

import { InvalidError, taskLimits, type BatchEntry, type Issue, type Message } from "@ergon/core";
import {
  H,
  createIdFactory,
  decodeBody,
  isoTime,
  parseTaskRequest,
  requireHeaders,
  shardOf,
  type Asking,
  type TaskSpec,
} from "@ergon/core/engine";

import type { AgentsTable } from "../dispatch/agents-table.ts";
import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Admitted, BatchAdmitter } from "./batch-admitter.ts";
import { driversOf, idsOf, issuesOf, rejected, requireBatch } from "./batch-request.ts";
import type { Forwarder } from "./forwarder.ts";
import { inTurns } from "./in-turns.ts";
import type { Intake } from "./intake.ts";
import type { Replies } from "./replies.ts";
import { unannounced } from "./unannounced.ts";

interface Batch {
  readonly specs: readonly TaskSpec[];
  /** The ids that this node has just made. */
  readonly made: ReadonlySet<string>;
  readonly correlationId: string;
}

interface Stored {
  readonly correlationId: string;
  readonly admitted: readonly Admitted[];
}

export interface BatchesParts {
  readonly intake: Intake;
  readonly admitter: BatchAdmitter;
  readonly agents: AgentsTable;
  readonly hosted: ReadonlyMap<number, HostedShard>;
  readonly forwarder: Forwarder;
  readonly replies: Replies;
}

/**
 * Takes batches. If all tasks of a batch have ids, it goes to the owner of the shard that its ids select. A copy of the batch meets the first one there,
 * wherever it arrives, and both get the same answer.
 */
export class Batches {
  readonly #context: NodeContext;
  readonly #parts: BatchesParts;
  readonly #newId: () => string;
  /** The batches that are being stored, by their content. */
  readonly #inFlight = new Map<string, Promise<Stored>>();

  constructor(context: NodeContext, parts: BatchesParts) {
    this.#context = context;
    this.#parts = parts;
    this.#newId = createIdFactory(context.random);
  }

  async serve(message: Message, asking: Asking): Promise<void> {
    this.#parts.intake.requireOpen();
    requireHeaders(message.headers(), "batch");
    const body = decodeBody(message.data, message.header(H.contentType));
    const ids = idsOf(body);
    // Tasks without ids are new each time, so such a batch has no copies.
    if (ids === undefined) return this.#answer(asking, await this.#store(body));
    const key = createHash("sha256").update(ids.join("\n")).digest("base64url");
    const shard = shardOf(key, this.#context.ports.records.shards);
    if (this.#parts.hosted.get(shard)?.phase === "serving") return this.coordinate(message, asking);
    this.#parts.forwarder.forward(shard, "batch", key, message);
  }

  /** Stores a batch that this node coordinates. A copy that comes meanwhile gets the same answer. */
  async coordinate(message: Message, asking: Asking): Promise<void> {
    const { data } = message;
    const contentType = message.header(H.contentType);
    const sum = createHash("sha256")
      .update(`${contentType ?? ""}\n`)
      .update(data)
      .digest("base64url");
    let stored = this.#inFlight.get(sum);
    if (stored === undefined) {
      stored = this.#store(decodeBody(data, contentType)).finally(() => this.#inFlight.delete(sum));
      this.#inFlight.set(sum, stored);
    }
    this.#answer(asking, await stored);
  }

  async #store(body: unknown): Promise<Stored> {
    const { specs, made, correlationId } = await this.#parse(body);
    return { correlationId, admitted: await this.#parts.admitter.admit(specs, made) };
  }

  async #parse(request: unknown): Promise<Batch> {
    const { tasks, ...body } = requireBatch(request);
    if (tasks.length < 1 || tasks.length > taskLimits.batchTasks) {
      const text = `tasks: must be 1 to ${taskLimits.batchTasks} tasks, not ${tasks.length}`;
      throw new InvalidError("BATCH_REJECTED", text, {
        issues: [{ field: "tasks", code: "INVALID_OPTION", message: text }],
      });
    }
    const correlationId = body.correlationId ?? this.#newId();
    const unserved =
      body.requireAgents === true ? await unannounced(this.#context, this.#parts.agents, driversOf(tasks)) : NONE;
    const issues: Issue[] = [];
    const ids = new Set<string>();
    const made = new Set<string>();
    const specs: TaskSpec[] = [];
    await inTurns(this.#context.clock, tasks, (task, index) => {
      try {
        const submission = parseTaskRequest(task);
        const spec = this.#parts.intake.specOf(submission);
        const id = submission.spec.id ?? this.#parts.intake.newDestination().id;
        if (ids.has(id))
          throw new InvalidError("INVALID_ID", `id "${id}" occurs twice in the batch; give each task its own id`, {
            issues: [
              {
                field: "id",
                code: "INVALID_ID",
                message: "id: it occurs twice in the batch; give each task its own id",
              },
            ],
          });
        ids.add(id);
        if (submission.spec.id === undefined) made.add(id);
        if (unserved.has(spec.driver)) {
          const text = `driver ${spec.driver} not found: no agent announces it`;
          throw new InvalidError("INVALID_DRIVER", text, {
            issues: [{ field: "driver", code: "INVALID_DRIVER", message: text }],
          });
        }
        specs.push({ correlationId, ...spec, id });
      } catch (error) {
        issues.push(...issuesOf(error, index));
      }
    });
    if (issues.length > 0) throw rejected(issues);
    return { specs, made, correlationId };
  }

  #answer(asking: Asking, { correlationId, admitted }: Stored): void {
    const tasks = admitted.map(({ spec, scheduledAt, status }): BatchEntry => ({
      id: spec.id,
      driver: spec.driver,
      status,
      ...(spec.resource === undefined ? {} : { resource: spec.resource }),
      scheduledAt: isoTime(scheduledAt),
    }));
    this.#parts.replies.send(asking, { correlationId, tasks });
  }
}

const NONE: ReadonlySet<string> = new Set();
