import { messageOf } from "@ergon/core";
import { endOfLife, taskOption, liveStateOf, taskOf, type TaskSpec } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { LiveActor } from "../shard/actor.ts";
import type { Releasing } from "../shard/hosting.ts";
import { comesBefore, coordinatorOf } from "./batch-id.ts";
import { inTurns } from "./in-turns.ts";

/** The silence of a coordinator after which the node asks for the decision over a held task. The question refuses the batch if there is no decision yet. */
const SILENCE_MS = 15_000;
/** The pause after a question that failed. */
const ASK_AGAIN_MS = 1_000;
/** The time by which a decision outlives every task of its batch. */
const DECISION_MARGIN_MS = 86_400_000;
/** A hundred years. The server counts in nanoseconds, which end after 292 years, and it may drop a record with a longer time to live at once. */
const LONGEST_LIFE_MS = 3_155_760_000_000;
/** The number of decisions that the node remembers, for tasks of a batch that are stored after the decision. */
const MOST_DECIDED = 256;

export type Decision = "admitted" | "refused";

interface Held {
  readonly actors: Set<LiveActor>;
  waiting: (() => void)[];
  asked: boolean;
  readonly timer: unknown;
}

/**
 * The batches with held tasks in this node's shards. The node asks once about each batch, whatever the number of its tasks. Everybody who met one of the
 * tasks continues after the decision.
 */
export class HeldBatches {
  readonly #context: NodeContext;
  readonly #host: Releasing;
  readonly #isAlive: (node: string) => boolean;
  readonly #held = new Map<string, Held>();
  readonly #decided = new Map<string, Decision>();

  /** `isAlive` tells whether a node has a session. */
  constructor(context: NodeContext, host: Releasing, isAlive: (node: string) => boolean) {
    this.#context = context;
    this.#host = host;
    this.#isAlive = isAlive;
  }

  /** This node has just stored a task. If the task is held, its batch needs a decision. */
  stored(actor: LiveActor): void {
    const { state } = actor;
    const batch = state === undefined || liveStateOf(state) !== "held" ? undefined : taskOf(state).batch;
    if (batch !== undefined) this.#add(actor, batch);
  }

  /** A held task came with its shard. Perhaps only the former owner heard the decision over its batch. */
  restored(actor: LiveActor): void {
    const task = taskOf(this.#host.wake(actor));
    const { batch } = task;
    // The store does not keep decisions for ever, and a question about a forgotten one would refuse a batch that was admitted. The total bound ends this task
    // instead.
    if (batch === undefined || this.#context.clock.now() >= endOfLife(task)) return;
    this.#add(actor, batch);
    this.#ask(batch);
  }

  /** Tells whether the node knows that the batch is refused. The node then stores no more of its tasks. */
  isRefused(batch: string): boolean {
    return this.#decided.get(batch) === "refused";
  }

  /**
   * Calls `run` after the decision over the batch of a held task, when the task is released or removed. `waiting` is the batch that needs the same task, if
   * there is one. If it precedes the other batch, the node asks for that batch's refusal instead of waiting for it. So no batches wait in a circle.
   */
  whenDecided(actor: LiveActor, batch: string, waiting: string | undefined, run: () => void): void {
    const decision = this.#decided.get(batch);
    if (decision !== undefined) {
      this.#conclude(actor, batch, decision);
      return run();
    }
    const held = this.#of(batch);
    held.actors.add(actor);
    held.waiting.push(run);
    if ((waiting !== undefined && comesBefore(waiting, batch)) || this.#isOrphan(batch)) this.#ask(batch);
  }

  /** The batch is decided. The node releases its held tasks here, or removes them. */
  decided(batch: string, decision: Decision): void {
    this.#remember(batch, decision);
    const held = this.#held.get(batch);
    if (held === undefined) return;
    this.#held.delete(batch);
    this.#context.clock.cancel(held.timer);
    void inTurns(this.#context.clock, held.actors, (actor) => this.#conclude(actor, batch, decision)).then(() =>
      inTurns(this.#context.clock, held.waiting, (run) => run()),
    );
  }

  /** Nodes came or went. A batch whose coordinator is gone needs a decision without it. */
  nodesChanged(): void {
    for (const batch of this.#held.keys()) if (this.#isOrphan(batch)) this.#ask(batch);
  }

  /** A shard left this node. The requests that waited for a task in it run again, and go to the next owner. */
  shardLeft(): void {
    for (const [batch, held] of this.#held) {
      for (const actor of held.actors) if (!isHere(actor)) held.actors.delete(actor);
      const { waiting } = held;
      held.waiting = [];
      if (held.actors.size === 0) {
        this.#held.delete(batch);
        this.#context.clock.cancel(held.timer);
      }
      for (const run of waiting) run();
    }
  }

  /** Writes the decision over the batch unless there is one. Returns the decision that stands. */
  async decide(batch: string, value: Decision, tasks: Iterable<LifeOfTask>): Promise<Decision> {
    const now = this.#context.clock.now();
    let lifeMs = 0;
    for (const task of tasks) lifeMs = Math.max(lifeMs, lifeOf(task, now));
    const stands = await this.#context.ports.leases.decide(`batch_${batch}`, value, lifeMs + DECISION_MARGIN_MS);
    return stands === "admitted" ? "admitted" : "refused";
  }

  #add(actor: LiveActor, batch: string): void {
    const decision = this.#decided.get(batch);
    if (decision !== undefined) return this.#conclude(actor, batch, decision);
    this.#of(batch).actors.add(actor);
  }

  #of(batch: string): Held {
    const known = this.#held.get(batch);
    if (known !== undefined) return known;
    const timer = this.#context.clock.after(SILENCE_MS, () => this.#ask(batch));
    const held: Held = { actors: new Set(), waiting: [], asked: false, timer };
    this.#held.set(batch, held);
    return held;
  }

  #isOrphan(batch: string): boolean {
    const coordinator = coordinatorOf(batch);
    return coordinator !== undefined && !this.#isAlive(coordinator);
  }

  #ask(batch: string): void {
    const held = this.#held.get(batch);
    if (held === undefined || held.asked) return;
    held.asked = true;
    const tasks = [...held.actors].filter(isHere).map((actor) => taskOf(this.#host.wake(actor)));
    this.decide(batch, "refused", tasks).then(
      (decision) => this.decided(batch, decision),
      (error: unknown) => {
        this.#context.logger.warn(
          { batch, tasks: tasks.length, reason: messageOf(error) },
          "the decision of a batch cannot be read; its tasks stay held, and the node asks again in a second",
        );
        this.#context.clock.after(ASK_AGAIN_MS, () => {
          held.asked = false;
          this.#ask(batch);
        });
      },
    );
  }

  #conclude(actor: LiveActor, batch: string, decision: Decision): void {
    if (!isHere(actor)) return;
    try {
      const state = this.#host.wake(actor);
      if (taskOf(state).batch !== batch || liveStateOf(state) !== "held") return;
      // The record may still say "held", because its next reader asks for the decision.
      if (decision === "admitted") this.#host.sendKnown(actor, { type: "release" });
      else this.#host.erase(actor);
    } catch (error) {
      const { id } = actor;
      this.#context.logger.error(
        { id, batch, err: error },
        "a held task could not be released; the other tasks of its batch continue",
      );
    }
  }

  #remember(batch: string, decision: Decision): void {
    this.#decided.set(batch, decision);
    for (const oldest of this.#decided.keys()) {
      if (this.#decided.size <= MOST_DECIDED) break;
      this.#decided.delete(oldest);
    }
  }
}

type LifeOfTask = Pick<TaskSpec, "options" | "notBefore">;

/** Tells whether the shard on this node still holds this very actor under its id. */
function isHere(actor: LiveActor): boolean {
  return !actor.erased && actor.shard.phase !== "closed" && actor.shard.actors.get(actor.id) === actor;
}

/** Returns the longest life of a task from `now`, as far as the server can count, so that a batch's decision outlives every task of it. */
function lifeOf(task: LifeOfTask, now: number): number {
  return Math.min(LONGEST_LIFE_MS, Math.max(0, (task.notBefore ?? 0) - now) + taskOption(task, "totalTimeoutMs"));
}
