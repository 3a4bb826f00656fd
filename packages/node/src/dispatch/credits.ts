import { messageOf, type Message } from "@ergon/core";
import { H, JSON_TYPE, decodeBody, encodeBody } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { AgentEntry, AgentsTable, Credit } from "./agents-table.ts";

const RESERVE_TIMEOUT_MS = 1_000;

/** The number of tasks that wait for slots, and the highest of their priorities. */
export interface Waits {
  readonly count: number;
  readonly priority: number;
}

/**
 * The node's side of the agents' slots. It asks for slots when tasks wait, and returns slots when an agent recalls them. An attempt goes out only on a slot,
 * so an agent never gets more than it announced, whatever the number of nodes.
 */
export class Credits {
  readonly #context: NodeContext;
  readonly #agents: AgentsTable;
  readonly #onGranted: (driver: string) => void;
  readonly #waits: (driver: string, agent: string | undefined) => Waits;

  /** `waits` returns the tasks that wait here for an agent of the driver, or for any agent. */
  constructor(
    context: NodeContext,
    agents: AgentsTable,
    onGranted: (driver: string) => void,
    waits: (driver: string, agent: string | undefined) => Waits,
  ) {
    this.#context = context;
    this.#agents = agents;
    this.#onGranted = onGranted;
    this.#waits = waits;
  }

  /** Returns an idle slot of the agent, or of the least loaded agent that beats, or `undefined` if there is none. */
  pick(driver: string, agent?: string): Credit | undefined {
    let best: Credit | undefined;
    let bestIdle = 0;
    for (const credit of this.#agents.credits(driver)) {
      if (agent !== undefined && credit.agent.id !== agent) continue;
      const idle = credit.held - credit.used - credit.recalled;
      if (idle > bestIdle && !credit.agent.quiet) {
        best = credit;
        bestIdle = idle;
      }
    }
    return best;
  }

  use(credit: Credit): void {
    credit.used++;
  }

  /** An attempt is over, so its slot is free, or goes back to the agent that recalled it. */
  free(credit: Credit): void {
    credit.used = Math.max(0, credit.used - 1);
    if (credit.recalled > 0) this.#giveBack(credit);
  }

  /** This node gives up an attempt whose handler may still run. The slot returns to its agent, which grants it again when it is free. */
  forfeit(credit: Credit): void {
    credit.used = Math.max(0, credit.used - 1);
    credit.held = Math.max(0, credit.held - 1);
    credit.recalled = Math.min(credit.recalled, credit.held);
    if (credit.recalled > 0) this.#giveBack(credit);
  }

  /** The task's new owner sent an attempt again, so the agent moves its slot here. */
  adopt(credit: Credit): void {
    credit.held++;
    credit.used++;
  }

  /**
   * Asks the agent, or the driver's agents, for as many slots as tasks wait, or for `least`. If one agent cannot grant a slot, the node asks the next agent
   * too. The agent remembers the request. The node asks it again for more slots, for more urgent work, or after a beat ({@link Credits.refresh}).
   */
  ask(
    driver: string,
    { agent, least = 0 }: { readonly agent?: string | undefined; readonly least?: number } = {},
  ): void {
    const credits = this.#agents.credits(driver);
    if (credits.length === 0) return;
    const { count, priority } = this.#waits(driver, agent);
    let wanted = Math.max(count, least);
    for (const credit of credits) {
      if (wanted <= 0) return;
      if (credit.agent.quiet || (agent !== undefined && credit.agent.id !== agent)) continue;
      if (credit.asking > 0) {
        wanted -= credit.asking;
        continue;
      }
      const want = Math.min(wanted, credit.concurrency - credit.held);
      if (want <= 0 || (credit.demand >= want && credit.priority >= priority)) continue;
      wanted -= want;
      void this.#reserve(credit, want, priority);
    }
  }

  /** The request for slots may have been lost, so this node asks the agent again. */
  refresh(agent: AgentEntry): void {
    for (const credit of agent.credits.values()) credit.demand = 0;
  }

  /** Takes an agent's message on `node.<node>.credit`: a grant, a recall, or the total number of slots if a message was lost. */
  receive(message: Message): void {
    const { agent, driver, granted, recall, held } = parseCredit(message);
    const credit = this.#agents.get(agent)?.credits.get(driver);
    if (credit === undefined) return;
    if (held !== undefined) {
      credit.held = held;
      credit.recalled = Math.min(credit.recalled, held);
      this.#onGranted(driver);
    }
    if (granted > 0) {
      credit.held += granted;
      credit.demand = Math.max(0, credit.demand - granted);
      this.#onGranted(driver);
    }
    if (recall > 0) {
      credit.recalled = Math.min(credit.held, credit.recalled + recall);
      this.#giveBack(credit);
    }
  }

  async #reserve(credit: Credit, want: number, priority: number): Promise<void> {
    const { ports, names, node, logger } = this.#context;
    const body = encodeBody({ node, driver: credit.driver, want, priority }, JSON_TYPE);
    credit.asking = want;
    let granted = 0;
    try {
      const reply = await ports.bus.request(names.control(credit.agent.id), body, {
        headers: { [H.event]: "reserve" },
        timeoutMs: RESERVE_TIMEOUT_MS,
      });
      granted = parseCredit(reply).granted;
    } catch (error) {
      logger.debug(
        { agent: credit.agent.id, driver: credit.driver, reason: messageOf(error) },
        "an agent did not answer a request for slots",
      );
    }
    credit.asking = 0;
    credit.held += granted;
    credit.demand = want - granted;
    credit.priority = priority;
    this.#onGranted(credit.driver);
  }

  /** The node returns the slots together with its remaining wish, which may be the most urgent of all. */
  #giveBack(credit: Credit): void {
    const count = Math.min(credit.recalled, credit.held - credit.used);
    if (count <= 0) return;
    credit.held -= count;
    credit.recalled -= count;
    const waits = this.#waits(credit.driver, credit.agent.id);
    credit.demand = Math.min(waits.count, credit.concurrency - credit.held);
    credit.priority = waits.priority;
    const { ports, names, node } = this.#context;
    const { driver, demand: want, priority } = credit;
    const body = encodeBody({ node, driver, count, want, priority }, JSON_TYPE);
    ports.bus.publish(names.control(credit.agent.id), body, { headers: { [H.event]: "release" } });
  }
}

function parseCredit(message: Message): {
  agent: string;
  driver: string;
  granted: number;
  recall: number;
  held: number | undefined;
} {
  const { agent, driver, granted, recall, held } = (
    message.data.length === 0 ? {} : decodeBody(message.data, JSON_TYPE)
  ) as Record<string, unknown>;
  const count = (value: unknown): number =>
    typeof value === "number" && Number.isInteger(value) && value > 0 ? value : 0;
  return {
    agent: String(agent),
    driver: String(driver),
    granted: count(granted),
    recall: count(recall),
    held: held === undefined ? undefined : count(held),
  };
}
