import { isErgonError } from "@ergon/core";
import { H, type AbortParams } from "@ergon/core/engine";

import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { AgentsTable } from "./agents-table.ts";

/** A handler that stops at once has answered before: its agent has heard the abort, and nothing more is sent. */
const FIRST_AGAIN_MS = 1_000;
const LAST_AGAIN_MS = 5_000;
const ACKNOWLEDGE_MS = 1_000;
/** An agent that beats, and has not acknowledged for so long, is no agent that acknowledges. */
const GIVE_UP_MS = 60_000;
/** The oldest are forgotten: their attempts run until their deadlines. */
const MOST_OPEN = 10_000;
/** Repeated in one look: the rest waits for the next. */
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

/** Tells agents that attempts are to stop: each again until the agent has heard it. Times are monotonic. */
export class Aborts {
  readonly #context: NodeContext;
  readonly #agents: AgentsTable;
  readonly #open = new Map<string, Abort>();

  constructor(context: NodeContext, agents: AgentsTable) {
    this.#context = context;
    this.#agents = agents;
  }

  /** Tells an agent that an attempt counts for nothing any more, or, where it is `cancelled`, that the task waits for its end. */
  tell(agent: string, task: string, attempt: number, reason: AbortParams["reason"]): void {
    const key = keyOf(task, attempt);
    const now = this.#context.clock.monotonic();
    // The attempt goes on: the agent has not heard the first word. The reason of that is the true one.
    const abort = this.#open.get(key) ?? { agent, task, attempt, reason, since: now, dueAt: 0, tries: 0 };
    abort.dueAt = now + FIRST_AGAIN_MS;
    const { ports, names } = this.#context;
    ports.bus.publish(names.control(agent), NO_BYTES, { headers: this.#headers(abort) });
    // An agent that is away hears nothing, and claims its attempts when it is back.
    if (this.#agents.get(agent) === undefined) return;
    this.#open.set(key, abort);
    for (const oldest of this.#open.keys()) {
      if (this.#open.size <= MOST_OPEN) break;
      this.#open.delete(oldest);
    }
  }

  /** The attempt has been answered: it runs no more. */
  answered(task: string, attempt: number): void {
    if (this.#open.size > 0) this.#open.delete(keyOf(task, attempt));
  }

  /** The agent is gone, and with it all that it ran. */
  gone(agent: string): void {
    for (const [key, abort] of this.#open) if (abort.agent === agent) this.#open.delete(key);
  }

  /** Repeats what was not heard. */
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

  /** Whether the agent has heard it, or is not there to hear it. */
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

function keyOf(task: string, attempt: number): string {
  return `${task}.${attempt}`;
}
