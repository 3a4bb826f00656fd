import { H, delay } from "@ergon/core/engine";

import { probe } from "../membership/proof-of-death.ts";
import type { NodeContext } from "../node-context.ts";
import type { AgentEntry, AgentsTable } from "./agents-table.ts";
import type { ServerPulse } from "./server-pulse.ts";

const PROBE_TIMEOUT_MS = 1_000;
const CONFIRM_MS = 50;

/** Asks agents whether they live. An agent is dead only if the server reports twice that nobody serves its subject. */
export class AgentProbes {
  readonly #context: NodeContext;
  readonly #agents: AgentsTable;
  readonly #pulse: ServerPulse;
  readonly #onDead: (entry: AgentEntry) => void;
  #stopped = false;

  constructor(context: NodeContext, agents: AgentsTable, pulse: ServerPulse, onDead: (entry: AgentEntry) => void) {
    this.#context = context;
    this.#agents = agents;
    this.#pulse = pulse;
    this.#onDead = onDead;
  }

  /** Asks the agent, unless a question to it is in flight. */
  ask(entry: AgentEntry): void {
    if (!entry.probing) void this.#ask(entry);
  }

  stop(): void {
    this.#stopped = true;
  }

  async #ask(entry: AgentEntry): Promise<void> {
    entry.probing = true;
    const dead = (await this.#isDead(entry)) && (await this.#isDeadStill(entry));
    entry.probing = false;
    if (dead && !this.#stopped && !this.#pulse.agentsMayReturn && this.#agents.get(entry.id) === entry)
      this.#onDead(entry);
  }

  async #isDeadStill(entry: AgentEntry): Promise<boolean> {
    await delay(this.#context.clock, CONFIRM_MS);
    return this.#isDead(entry);
  }

  async #isDead(entry: AgentEntry): Promise<boolean> {
    const { ports, names, clock } = this.#context;
    const found = await probe(ports.bus, names.control(entry.id), PROBE_TIMEOUT_MS, { [H.event]: "ping" });
    if (found === "answered") entry.heardAt = clock.monotonic();
    return found === "deserted";
  }
}
