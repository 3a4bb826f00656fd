import { isName, type AgentView } from "@ergon/core";

import type { LiveActor } from "../shard/actor.ts";

/** This node's slots at an agent, for one driver. Slots are the agent's to grant. */
export interface Credit {
  readonly agent: AgentEntry;
  readonly driver: string;
  concurrency: number;
  /** Granted to this node, and of these in use. */
  held: number;
  used: number;
  /** Asked back by the agent: returned as they fall idle. */
  recalled: number;
  /** Slots that a request under way asks for. */
  asking: number;
  /** What the agent was asked for and could not grant, and for work of which priority: it remembers that, and grants it when it can. */
  demand: number;
  priority: number;
}

export interface AgentEntry {
  readonly id: string;
  view: AgentView;
  /** The incarnation whose place this one took, as it was heard last: what is still heard of it counts for nothing. */
  former: AgentView | undefined;
  readonly credits: Map<string, Credit>;
  /** Attempts of this node's tasks at the agent. */
  readonly flights: Set<LiveActor>;
  /** Monotonic time of its last beat, and of the last probe. */
  heardAt: number;
  probing: boolean;
  /** It has missed a beat: it gets nothing new until it is heard again. */
  quiet: boolean;
}

/** The agents that this node has heard of. */
export class AgentsTable {
  readonly #agents = new Map<string, AgentEntry>();
  readonly #byDriver = new Map<string, Credit[]>();

  get(id: string): AgentEntry | undefined {
    return this.#agents.get(id);
  }

  all(): IterableIterator<AgentEntry> {
    return this.#agents.values();
  }

  /** The slots of every agent of the driver that takes work. */
  credits(driver: string): readonly Credit[] {
    return this.#byDriver.get(driver) ?? [];
  }

  /** Whose beat it is: of the incarnation that is known, if any is, of one that took its place, or of one that is no more. */
  whose(view: AgentView): "present" | "next" | "former" {
    const known = this.#agents.get(view.id);
    if (known === undefined || known.view.incarnation === view.incarnation) return "present";
    // A goodbye is the last word of its own incarnation, and says nothing of another.
    if (view.state === "gone") return "former";
    return known.former !== undefined && known.former.incarnation === view.incarnation ? "former" : "next";
  }

  /** Takes an agent's beat. Answers its entry, new or known. */
  heard(view: AgentView, now: number): AgentEntry {
    const known = this.#agents.get(view.id);
    const entry = known ?? {
      id: view.id,
      view,
      former: undefined,
      credits: new Map<string, Credit>(),
      flights: new Set<LiveActor>(),
      heardAt: now,
      probing: false,
      quiet: false,
    };
    const before = known?.view;
    entry.view = view;
    entry.heardAt = now;
    entry.quiet = false;
    if (known === undefined) this.#agents.set(view.id, entry);
    if (before === undefined || before.state !== view.state || !sameDrivers(before, view)) this.#index(entry);
    for (const { name, concurrency } of view.drivers) {
      const credit = entry.credits.get(name);
      if (credit !== undefined) credit.concurrency = concurrency;
    }
    return entry;
  }

  remove(entry: AgentEntry): void {
    this.#agents.delete(entry.id);
    for (const driver of entry.credits.keys()) this.#unlist(entry, driver);
  }

  #index(entry: AgentEntry): void {
    for (const driver of entry.credits.keys()) {
      if (entry.view.drivers.some(({ name }) => name === driver)) continue;
      this.#unlist(entry, driver);
      entry.credits.delete(driver);
    }
    for (const { name, concurrency } of entry.view.drivers) {
      let credit = entry.credits.get(name);
      if (credit === undefined) {
        const counts = { held: 0, used: 0, recalled: 0, asking: 0, demand: 0, priority: 0 };
        credit = { agent: entry, driver: name, concurrency, ...counts };
        entry.credits.set(name, credit);
      }
      this.#unlist(entry, name);
      if (entry.view.state === "here") this.#byDriver.set(name, [...this.credits(name), credit]);
    }
  }

  #unlist(entry: AgentEntry, driver: string): void {
    const rest = this.credits(driver).filter(({ agent }) => agent !== entry);
    if (rest.length === 0) this.#byDriver.delete(driver);
    else this.#byDriver.set(driver, rest);
  }
}

/** An agent that was started again under its id may serve others. */
function sameDrivers(before: AgentView, now: AgentView): boolean {
  return (
    before.drivers.length === now.drivers.length &&
    before.drivers.every(({ name }, index) => name === now.drivers[index]?.name)
  );
}

/** Reads a beat. Anything else on the subject is `undefined`. */
export function parsePresence(value: unknown): AgentView | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { agent, incarnation, drivers, state, running, version, host, pid } = value as Record<string, unknown>;
  if (typeof agent !== "string" || !isName(agent) || !Array.isArray(drivers)) return undefined;
  if (state !== "here" && state !== "draining" && state !== "gone") return undefined;
  const parsed: { name: string; concurrency: number }[] = [];
  for (const driver of drivers as unknown[]) {
    const { name, concurrency } = (driver ?? {}) as Record<string, unknown>;
    if (
      typeof name !== "string" ||
      !isName(name) ||
      typeof concurrency !== "number" ||
      !Number.isInteger(concurrency) ||
      concurrency < 1
    )
      return undefined;
    parsed.push({ name, concurrency });
  }
  return {
    id: agent,
    ...(typeof incarnation === "string" ? { incarnation: incarnation.slice(0, 64) } : {}),
    drivers: parsed,
    state,
    running: typeof running === "number" ? running : 0,
    version: typeof version === "string" ? version.slice(0, 64) : "",
    host: typeof host === "string" ? host.slice(0, 255) : "",
    pid: typeof pid === "number" ? pid : 0,
  };
}
