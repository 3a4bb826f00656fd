import { messageOf } from "@ergon/core";
import type { Bus, Clock, Logger, Message } from "@ergon/core";
import { H, attemptKey, encodeError } from "@ergon/core/engine";

import type { AbortReason } from "./abort.ts";
import type { Answers } from "./answers.ts";
import { Run } from "./attempt.ts";
import type { RunHost } from "./attempt.ts";
import type { CreditChange } from "./capacity.ts";
import { parseDispatch } from "./dispatch.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Lane } from "./driver.ts";
import { failed, returned, stopped, succeeded } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";

export interface ExecutorOptions {
  readonly agent: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly answers: Answers;
  laneOf(driver: string): Lane | undefined;
  wake(due: number): void;
  /** A node has dispatched. */
  heard(node: string): void;
  /** The agent has credit messages for nodes. */
  credits(lane: Lane, changes: readonly CreditChange[]): void;
}

/** Runs each attempt once, however often it is dispatched. */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #host: RunHost;
  readonly #running: Map<string, Run> = new Map();
  #draining = false;
  #idle: (() => void)[] = [];

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#host = {
      clock: options.clock,
      logger: options.logger,
      wake: (due) => options.wake(due),
      tell: (run, event, data) => this.#tell(run, event, data),
    };
  }

  get running(): number {
    return this.#running.size;
  }

  /** From now on, the executor returns every dispatch. */
  drain(): void {
    this.#draining = true;
  }

  /** Calls `run` once, when no attempt runs. */
  whenIdle(run: () => void): void {
    if (this.#running.size === 0) run();
    else this.#idle.push(run);
  }

  dispatched(lane: Lane, message: Message): void {
    let dispatch: Dispatch;
    try {
      dispatch = parseDispatch(lane.driver, message);
    } catch (error) {
      return this.#refuse(message, error);
    }
    if (dispatch.node !== "") this.#options.heard(dispatch.node);
    const running = this.#running.get(dispatch.key);
    if (running !== undefined && running.dispatch.deadline !== dispatch.deadline)
      return this.#supersede(running, dispatch);
    if (running !== undefined) return this.#adopt(lane, running, dispatch.node);
    if (this.#options.answers.again(dispatch)) return;
    // A former incarnation of this agent may have run it: it must not run twice under one number.
    if (dispatch.isAgain)
      return this.#answer(dispatch, returned(this.#options.agent, "the agent does not know the attempt"));
    if (this.#draining) return this.#answer(dispatch, returned(this.#options.agent, "the agent stops"));
    if (!lane.capacity.begin(dispatch.node)) return this.#busy(lane, dispatch);
    const run = new Run(dispatch, this.#host, lane.beatsByItself);
    this.#running.set(dispatch.key, run);
    this.#options.wake(run.due);
    void this.#execute(lane, run);
  }

  /**
   * Aborts one attempt. Unless its node waits for its end, the node has given it up: no node holds its credit, and its slot is
   * free when its handler has stopped. Returns whether the attempt runs.
   */
  abort(task: string, attempt: number, reason: AbortReason): boolean {
    const run = this.#running.get(attemptKey(task, attempt));
    if (run === undefined) return false;
    run.abort(reason);
    if (reason !== "cancelled" && run.node !== NOBODY) {
      this.#options.laneOf(run.driver)?.capacity.move(run.node, NOBODY);
      run.node = NOBODY;
    }
    return true;
  }

  abortAll(reason: AbortReason): void {
    for (const run of this.#running.values()) run.abort(reason);
  }

  /** Aborts all attempts, and sends nothing more about them: another agent has the same id, and runs attempts under the same numbers. */
  forsake(): void {
    for (const run of this.#running.values()) {
      run.superseded = true;
      run.abort("lost");
    }
  }

  /**
   * Claims running attempts again: all of them after a time without NATS, or those of a shard with a new owner (the subjects of its answers begin with
   * `prefix`). A node that has given an attempt up meanwhile replies that it is lost.
   */
  claimAll(prefix = ""): void {
    for (const run of this.#running.values())
      if (run.dispatch.replyTo.startsWith(prefix)) this.#tell(run, "claimed", EMPTY);
  }

  /** Gives back the attempts that still run; later results of their handlers are ignored. */
  abandon(lanes: ReadonlyMap<string, Lane>): void {
    for (const run of this.#running.values()) {
      const lane = lanes.get(run.driver);
      if (lane === undefined) continue;
      run.logger.warn(
        {},
        "the handler did not stop in time; the agent returns its attempt, and the handler may still run",
      );
      this.#finish(lane, run, returned(this.#options.agent, "the agent stops"));
    }
  }

  sweep(now: number): number {
    let next = Infinity;
    for (const run of this.#running.values()) next = Math.min(next, run.due <= now + 1 ? run.sweep(now) : run.due);
    return next;
  }

  async #execute(lane: Lane, run: Run): Promise<void> {
    const { agent, bus } = this.#options;
    let outcome: Outcome;
    try {
      outcome = succeeded(agent, await lane.handle(run), bus.maxMessageBytes);
    } catch (error) {
      run.logger.debug({ error }, "the attempt failed");
      outcome = run.aborted === undefined ? failed(agent, error) : stopped(agent, error, run.aborted);
    }
    this.#finish(lane, run, outcome);
  }

  #finish(lane: Lane, run: Run, outcome: Outcome): void {
    if (run.over) return;
    run.flushProgress();
    run.over = true;
    this.#running.delete(run.dispatch.key);
    const changes = lane.capacity.end(run.node);
    if (!run.superseded) this.#answer(run.dispatch, outcome);
    if (changes.length > 0) this.#options.credits(lane, changes);
    if (this.#running.size > 0 || this.#idle.length === 0) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const notify of waiting) notify();
  }

  /** The node counts on credits that it does not hold: the agent tells it so, before the node chooses the next agent. */
  #busy(lane: Lane, dispatch: Dispatch): void {
    if (dispatch.node !== "") this.#options.credits(lane, [lane.capacity.holding(dispatch.node)]);
    this.#answer(dispatch, returned(this.#options.agent, "AGENT_BUSY"));
  }

  #answer(dispatch: Dispatch, outcome: Outcome): void {
    this.#options.answers.send({
      key: dispatch.key,
      deadline: dispatch.deadline,
      subject: dispatch.replyTo,
      headers: outcome.headers,
      data: outcome.data,
    });
  }

  /** A later task has the same id and number as an ended one whose handler still runs: on the wire, nobody can distinguish the two. */
  #supersede(run: Run, dispatch: Dispatch): void {
    run.superseded = true;
    run.abort("stale");
    this.#answer(dispatch, returned(this.#options.agent, "an attempt of an earlier task with this id still runs"));
  }

  /** The attempt is dispatched again while it runs: by its shard's new owner, or because its node has heard nothing of it. */
  #adopt(lane: Lane, run: Run, node: string): void {
    lane.capacity.move(run.node, node);
    run.node = node;
    this.#tell(run, "claimed", EMPTY);
  }

  #tell(run: Run, event: string, data: Uint8Array): void {
    if (run.superseded) return;
    try {
      this.#options.bus.publish(run.dispatch.replyTo, data, {
        headers: { [H.event]: event, [H.agent]: this.#options.agent },
      });
    } catch (error) {
      run.logger.warn(
        { event, error: messageOf(error) },
        "an event of the attempt could not be sent; the attempt continues",
      );
    }
  }

  /** The dispatch cannot be read: its sender gets one final failure. */
  #refuse(message: Message, error: unknown): void {
    this.#options.logger.warn(
      { subject: message.subject, error: messageOf(error) },
      "the agent refused a malformed dispatch",
    );
    if (message.reply === undefined) return;
    const { data, headers } = encodeError(error);
    const answer = { ...headers, [H.errorKind]: "terminal", [H.event]: "failed", [H.agent]: this.#options.agent };
    this.#options.bus.publish(message.reply, data, { headers: answer });
  }
}

const EMPTY = new Uint8Array();
/** The holder of a credit whose node has given up the attempt. */
const NOBODY = "";
