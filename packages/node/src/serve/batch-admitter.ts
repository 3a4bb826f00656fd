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

/** How long one task's admission may take before the node asks for it again: its shard may have left the node that was asked. */
const ADMIT_MS = 5_000;
/** How long a batch is tried in all. Less than what the SDK waits, so that its client hears why. */
const PATIENCE_MS = 25_000;
/** Tasks of a batch that are on their way to the store at once: enough for its speed, and no more than a node takes in between two other questions. */
const AT_ONCE = 2_048;
/** Between tries of one task, and of a batch that gave way. */
const PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1_600;
/** A task is asked for again after these: its shard is on its way to another owner. */
const passing: ReadonlySet<string> = new Set(["SHARD_MOVED", "REQUEST_TIMEOUT", "NO_NODE"]);

export interface Admitted {
  readonly spec: TaskSpec;
  readonly scheduledAt: number;
  readonly status: BatchEntry["status"];
}

interface Refused {
  readonly code: string;
  readonly message: string;
  /** The same batch may be admitted when it is sent again. */
  readonly unavailable: boolean;
}

/**
 * Admits batches: all tasks, or none (B-4), wherever their shards are. Each task is stored held; then one create-once key decides for all. Whoever finds
 * a held task without its coordinator asks for the decision, and thereby refuses a batch that has none. A crash at any point leaves all or none.
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

  /** `made`: the ids that were made here just now. A batch that gave way to another is tried again once that one is decided. */
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

  /** One task of a batch, asked for again for as long as its shard is on its way from one node to another. */
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
      // A shard that is lost meanwhile says nothing more.
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

  /** Tells every owner of a shard with tasks of the batch, each shard once. Only what the batch itself holds is released or removed. */
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
