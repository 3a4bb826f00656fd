import type { AgentView } from "@ergon/core";

import type { LiveActor } from "../shard/actor.ts";

/** The slots of this node at an agent, for one driver. The agent grants slots. */
export interface Credit {
  readonly agent: AgentEntry;
  readonly driver: string;
  concurrency: number;
  /** The number of slots that this node has, and the number of these in use. */
  held: number;
  used: number;
  /** The number of slots that the agent has recalled. The node returns each when it is idle. */
  recalled: number;
  /** The number of slots that a request in flight asks for. */
  asking: number;
  /** The slots that the agent could not grant, and the priority of the work for them. The agent remembers both, and grants the slots when it can. */
  demand: number;
  priority: number;
}

export interface AgentEntry {
  readonly id: string;
  view: AgentView;
  /** The previous incarnation under this id, in its last beat. The node ignores its later messages. */
  former: AgentView | undefined;
  /** The monotonic time at which this incarnation took the place. */
  since: number;
  /** Another agent that lives or lived under the id at the same time, with the times of its last beat and of the last log line about it. */
  twin: { readonly view: AgentView; readonly seenAt: number; toldAt: number } | undefined;
  readonly credits: Map<string, Credit>;
  /** The attempts of this node's tasks at the agent. */
  readonly flights: Set<LiveActor>;
  /** The monotonic times of its last beat and of the last probe. */
  heardAt: number;
  probing: boolean;
  /** The agent has missed a beat, so it gets no new work until the node hears it again. */
  quiet: boolean;
}

/** An agent beats every second, so a node that listens for this time has heard every connected agent. */
const FULL_BEAT_MS = 1_500;

/** The agents that this node has heard of. */
export class AgentsTable {
  readonly #agents = new Map<string, AgentEntry>();
  readonly #byDriver = new Map<string, Credit[]>();
  readonly #onChange = new Map<string, Set<() => void>>();
  /** The monotonic time since which the node hears beats, or `undefined` while it does not. */
  #heardSince: number | undefined;

  get(id: string): AgentEntry | undefined {
    return this.#agents.get(id);
  }

  all(): IterableIterator<AgentEntry> {
    return this.#agents.values();
  }

  /** The node hears beats since this monotonic time, or `undefined` if it hears none now. Unknown agents may have come meanwhile. */
  listens(since: number | undefined): void {
    this.#heardSince = since;
  }

  /** Tells whether the node has heard every connected agent. Before that, an agent that is not in the table may still exist. */
  isSettled(now: number): boolean {
    return this.#heardSince !== undefined && now - this.#heardSince >= FULL_BEAT_MS;
  }

  /** Calls `listener` after each change of the agents that take work of the driver. Returns a function that ends this. */
  onChange(driver: string, listener: () => void): () => void {
    const listeners = this.#onChange.get(driver) ?? new Set<() => void>();
    this.#onChange.set(driver, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#onChange.get(driver) === listeners) this.#onChange.delete(driver);
    };
  }

  /** The slots of every agent that takes work of the driver. */
  credits(driver: string): readonly Credit[] {
    return this.#byDriver.get(driver) ?? [];
  }

  /** Tells whether a beat is from the known incarnation, from its successor, or from a former one. */
  whose(view: AgentView): "present" | "next" | "former" {
    const known = this.#agents.get(view.id);
    if (known === undefined || known.view.incarnation === view.incarnation) return "present";
    // A goodbye concerns only its own incarnation.
    if (view.state === "gone") return "former";
    return known.former !== undefined && known.former.incarnation === view.incarnation ? "former" : "next";
  }

  /** Takes an agent's beat. Returns the agent's entry, new or known. */
  heard(view: AgentView, now: number): AgentEntry {
    const known = this.#agents.get(view.id);
    const entry = known ?? {
      id: view.id,
      view,
      former: undefined,
      since: now,
      twin: undefined,
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
    const changed = [...entry.credits.keys()].filter((driver) => this.#unlist(entry, driver));
    for (const driver of changed) this.#tell(driver);
  }

  #index(entry: AgentEntry): void {
    const before = [...entry.credits.keys()].filter((driver) => this.#unlist(entry, driver));
    for (const driver of entry.credits.keys())
      if (!entry.view.drivers.some(({ name }) => name === driver)) entry.credits.delete(driver);
    for (const { name, concurrency } of entry.view.drivers) {
      let credit = entry.credits.get(name);
      if (credit === undefined) {
        const counts = { held: 0, used: 0, recalled: 0, asking: 0, demand: 0, priority: 0 };
        credit = { agent: entry, driver: name, concurrency, ...counts };
        entry.credits.set(name, credit);
      }
      if (entry.view.state === "here") this.#byDriver.set(name, [...this.credits(name), credit]);
    }
    const now = entry.view.state === "here" ? [...entry.credits.keys()] : [];
    for (const driver of new Set([...before, ...now]))
      if (before.includes(driver) !== now.includes(driver)) this.#tell(driver);
  }

  /** Returns whether the agent took work of the driver until now. */
  #unlist(entry: AgentEntry, driver: string): boolean {
    const before = this.credits(driver);
    const rest = before.filter(({ agent }) => agent !== entry);
    if (rest.length === 0) this.#byDriver.delete(driver);
    else this.#byDriver.set(driver, rest);
    return rest.length < before.length;
  }

  #tell(driver: string): void {
    for (const listener of [...(this.#onChange.get(driver) ?? [])]) listener();
  }
}

/** Compares the drivers, because an agent that was started again under its id may serve others. */
function sameDrivers(before: AgentView, now: AgentView): boolean {
  return (
    before.drivers.length === now.drivers.length &&
    before.drivers.every(({ name }, index) => name === now.drivers[index]?.name)
  );
}
