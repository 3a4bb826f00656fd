import { UnavailableError, isErgonError, messageOf, type BatchEntry, type ErrorCode, type Issue } from "@ergon/core";
import {
  H,
  createIdFactory,
  decodeBody,
  decodeError,
  delay,
  parseIsoTime,
  shardOf,
  statusOf,
  taskOf,
  type TaskSpec,
} from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";
import { encodeAdmission, type Admissions } from "./admissions.ts";
import { createBatchId } from "./batch-id.ts";
import { rejected } from "./batch-request.ts";
import type { Decision, HeldBatches } from "./held-batches.ts";
import { inLanes } from "./in-turns.ts";
import { moved } from "./refusals.ts";

/** The time after which the node repeats one task's admission, because the task's shard may have left the node that it asked. */
const ADMIT_MS = 5_000;
/** The time after which the node gives up a batch. It is less than the SDK's timeout, so that the client hears the reason. */
const PATIENCE_MS = 25_000;
/** The tasks of a batch that are in flight to the store at once. They suffice for the store's speed, and leave the node time for other requests. */
const AT_ONCE = 2_048;
/** The pauses between tries of one task, and of a batch that gave way. */
const PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_600;
/** The node repeats the admission of a task after these errors, because its shard is on its way to another owner. */
const passing: ReadonlySet<string> = new Set(["SHARD_MOVED", "REQUEST_TIMEOUT", "NO_NODE"]);

export interface Admitted {
  readonly spec: TaskSpec;
  readonly scheduledAt: number;
  readonly status: BatchEntry["status"];
}

interface Refused {
  readonly code: string;
  readonly message: string;
  /** The node may admit the same batch when the client sends it again. */
  readonly unavailable: boolean;
}

/**
 * Admits all tasks of a batch or none (B-4), wherever their shards are. Each owner stores its tasks held, and then one create-once key decides for all. A
 * node that finds a held task without its coordinator asks for the decision, and thereby refuses a batch that has none. A crash at any point leaves all tasks
 * or none.
 */
export class BatchAdmitter {
  readonly #context: NodeContext;
  readonly #admissions: Admissions;
  readonly #held: HeldBatches;
  readonly #hosted: ReadonlyMap<number, HostedShard>;
  readonly #newId: () => string;

  constructor(
    context: NodeContext,
    admissions: Admissions,
    held: HeldBatches,
    hosted: ReadonlyMap<number, HostedShard>,
  ) {
    this.#context = context;
    this.#admissions = admissions;
    this.#held = held;
    this.#hosted = hosted;
    this.#newId = createIdFactory(context.random);
  }

  /** `made` holds the ids that this node has just made. A batch that gave way to another is tried again after the decision over the other. */
  async admit(specs: readonly TaskSpec[], made: ReadonlySet<string>): Promise<readonly Admitted[]> {
    const { clock, node } = this.#context;
    const cameAt = clock.now();
    const end = clock.monotonic() + PATIENCE_MS;
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      const batch = createBatchId(cameAt, this.#newId().slice(0, 12), node);
      const outcomes = await inLanes(specs, AT_ONCE, (spec) => this.#admitOne(spec, made.has(spec.id), batch, end));
      const issues = outcomes.flatMap(issueOf);
      const decision = await this.#held.decide(batch, issues.length === 0 ? "admitted" : "refused", specs);
      this.#conclude(batch, decision, specs);
      if (issues.length === 0 && decision === "admitted") return outcomes.filter(isAdmitted);
      if (outcomes.some((outcome) => !isAdmitted(outcome) && !outcome.unavailable)) throw rejected(issues);
      const gaveWay = issues.every(({ code }) => code === "BATCH_GAVE_WAY");
      if (!gaveWay || clock.monotonic() + pauseMs >= end) throw notNow(issues);
      await delay(clock, pauseMs);
    }
  }

  /** Admits one task of a batch, and repeats this while the task's shard is on its way from one node to another. */
  async #admitOne(spec: TaskSpec, fresh: boolean, batch: string, end: number): Promise<Admitted | Refused> {
    const { clock, ports } = this.#context;
    let isNew = fresh;
    for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      const shard = this.#hosted.get(shardOf(spec.id, ports.records.shards));
      const outcome = await (shard?.phase === "serving"
        ? this.#admitHere(shard, spec, isNew, batch)
        : this.#admitElsewhere(spec, batch));
      isNew = false;
      if (isAdmitted(outcome) || !passing.has(outcome.code) || clock.monotonic() + pauseMs >= end) return outcome;
      await delay(clock, pauseMs);
    }
  }

  #admitHere(shard: HostedShard, spec: TaskSpec, fresh: boolean, batch: string): Promise<Admitted | Refused> {
    const { clock } = this.#context;
    return new Promise((resolve) => {
      // If the node loses the shard meanwhile, no other answer comes.
      const timer = clock.after(ADMIT_MS, () => resolve(refusalOf(moved(shard))));
      this.#admissions.submit(
        shard,
        spec,
        fresh,
        (outcome) => {
          clock.cancel(timer);
          if (outcome.kind === "refused") return resolve(refusalOf(outcome.error));
          const task = taskOf(outcome.state);
          resolve({ spec, scheduledAt: task.scheduledAt, status: statusOf(task) });
        },
        batch,
      );
    });
  }

  async #admitElsewhere(spec: TaskSpec, batch: string): Promise<Admitted | Refused> {
    const { ports, names } = this.#context;
    const subject = names.shard(shardOf(spec.id, ports.records.shards), "admit", spec.id);
    try {
      const reply = await ports.bus.request(subject, encodeAdmission(spec, batch), { timeoutMs: ADMIT_MS });
      const error = decodeError(reply);
      if (error !== undefined) return refusalOf(error);
      const view = decodeBody(reply.data, reply.header(H.contentType)) as {
        status: BatchEntry["status"];
        scheduledAt: string;
      };
      return { spec, scheduledAt: parseIsoTime(view.scheduledAt), status: view.status };
    } catch (error) {
      return refusalOf(error);
    }
  }

  /** Tells the decision once to each shard with tasks of the batch. The owners release or remove only the tasks that this batch holds. */
  #conclude(batch: string, decision: Decision, specs: readonly TaskSpec[]): void {
    const { ports, names } = this.#context;
    this.#held.decided(batch, decision);
    const oneOf = new Map(specs.map(({ id }) => [shardOf(id, ports.records.shards), id]));
    const verb = decision === "admitted" ? "release" : "discard";
    for (const [shard, id] of oneOf)
      if (this.#hosted.get(shard)?.phase !== "serving")
        ports.bus.publish(names.shard(shard, verb, id), Buffer.from(batch));
  }
}

function isAdmitted(outcome: Admitted | Refused): outcome is Admitted {
  return !("code" in outcome);
}

function issueOf(outcome: Admitted | Refused, index: number): Issue[] {
  if (isAdmitted(outcome)) return [];
  const field = `tasks[${index}]`;
  return [{ field, code: outcome.code, message: `${field}: ${outcome.message}` }];
}

function notNow(issues: readonly Issue[]): Error {
  const [first] = issues;
  const gaveWay = first === undefined || issues.every(({ code }) => code === "BATCH_GAVE_WAY");
  const store = issues.find(({ code }) => code === "STORE_FULL" || code === "STORE_UNAVAILABLE")?.code;
  return new UnavailableError(
    gaveWay ? "BATCH_GAVE_WAY" : ((store as ErrorCode | undefined) ?? "SHARD_MOVED"),
    `nothing was stored: ${first?.message ?? "another batch with some of the same ids is stored first"}; send the batch again`,
    { issues },
  );
}

function refusalOf(error: unknown): Refused {
  const known = isErgonError(error) ? error : undefined;
  return { code: known?.code ?? "INTERNAL", message: messageOf(error), unavailable: known?.kind === "unavailable" };
}
