import { isErgonError } from "@ergon/core";
import { H, attemptKey, type AbortParams } from "@ergon/core/engine";

import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { AgentsTable } from "./agents-table.ts";

/** The pause before the first repetition. A handler that stops at once has answered before, so the node knows that its agent has heard the abort. */
const FIRST_AGAIN_MS = 1_000;
const LAST_AGAIN_MS = 5_000;
const ACKNOWLEDGE_MS = 1_000;
/** An agent that beats and has not acknowledged for this time does not acknowledge aborts at all. */
const GIVE_UP_MS = 60_000;
/** The node forgets the oldest aborts beyond this number. Their attempts run until their deadlines. */
const MOST_OPEN = 10_000;
/** The most repetitions in one look. The others wait for the next look. */
const MOST_AT_ONCE = 256;

interface Abort {
  readonly agent: string;
  readonly task: string;
  readonly attempt: number;
  readonly reason: AbortParams["reason"];
  readonly since: number;
  dueAt: number;
  tries: number;
}

/** Tells agents to stop attempts, and repeats this until the agent has heard it. Times are monotonic. */
export class Aborts {
  readonly #context: NodeContext;
  readonly #agents: AgentsTable;
  readonly #open = new Map<string, Abort>();

  constructor(context: NodeContext, agents: AgentsTable) {
    this.#context = context;
    this.#agents = agents;
  }

  /** Tells an agent that the node ignores an attempt from now on, or, if `reason` is `cancelled`, that the task waits for the attempt's end. */
  tell(agent: string, task: string, attempt: number, reason: AbortParams["reason"]): void {
    const key = attemptKey(task, attempt);
    const now = this.#context.clock.monotonic();
    // The attempt still runs, so the agent has not heard the first abort. The first abort has the true reason.
    const abort = this.#open.get(key) ?? { agent, task, attempt, reason, since: now, dueAt: 0, tries: 0 };
    abort.dueAt = now + FIRST_AGAIN_MS;
    const { ports, names } = this.#context;
    ports.bus.publish(names.control(agent), NO_BYTES, { headers: this.#headers(abort) });
    // An absent agent hears nothing, and claims its attempts when it is back.
    if (this.#agents.get(agent) === undefined) return;
    this.#open.set(key, abort);
    for (const oldest of this.#open.keys()) {
      if (this.#open.size <= MOST_OPEN) break;
      this.#open.delete(oldest);
    }
  }

  /** The agent has answered the attempt, which no longer runs. */
  answered(task: string, attempt: number): void {
    if (this.#open.size > 0) this.#open.delete(attemptKey(task, attempt));
  }

  /** The agent is gone, and its attempts with it. */
  gone(agent: string): void {
    for (const [key, abort] of this.#open) if (abort.agent === agent) this.#open.delete(key);
  }

  /** Repeats the aborts that no agent has acknowledged. */
  sweep(): void {
    const now = this.#context.clock.monotonic();
    let sent = 0;
    for (const [key, abort] of this.#open) {
      if (abort.dueAt > now) continue;
      if (sent++ >= MOST_AT_ONCE) return;
      void this.#again(key, abort, now);
    }
  }

  async #again(key: string, abort: Abort, now: number): Promise<void> {
    abort.tries++;
    abort.dueAt = now + ACKNOWLEDGE_MS + Math.min(LAST_AGAIN_MS, FIRST_AGAIN_MS * 2 ** (abort.tries - 1));
    const heard = await this.#ask(abort);
    if (this.#open.get(key) !== abort) return;
    const { agent, task, attempt, since } = abort;
    if (!heard && this.#context.clock.monotonic() - since < GIVE_UP_MS) return;
    this.#open.delete(key);
    if (!heard)
      this.#context.logger.warn(
        { agent, id: task, attempt },
        "an agent did not acknowledge an abort for 60 s; the attempt may run until its deadline",
      );
  }

  /** Tells whether the agent has heard the abort, or is absent. */
  async #ask(abort: Abort): Promise<boolean> {
    const { ports, names } = this.#context;
    try {
      const headers = this.#headers(abort);
      await ports.bus.request(names.control(abort.agent), NO_BYTES, { headers, timeoutMs: ACKNOWLEDGE_MS });
      return true;
    } catch (error) {
      return isErgonError(error) && error.code === "NO_NODE";
    }
  }

  #headers({ task, attempt, reason }: Abort): Record<string, string> {
    const { node } = this.#context;
    return { [H.event]: "abort", [H.task]: task, [H.attempt]: String(attempt), [H.reason]: reason, [H.node]: node };
  }
}
