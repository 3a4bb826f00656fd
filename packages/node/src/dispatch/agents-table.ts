import type { AgentView } from "@ergon/core";

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
  /** The slots that the agent could not grant, and the priority of the work for them. The agent remembers both, and grants the slots when it can. */
  demand: number;
  priority: number;
}

export interface AgentEntry {
  readonly id: string;
  view: AgentView;
  /** The incarnation whose place this one took, as it was heard last: what is still heard of it counts for nothing. */
  former: AgentView | undefined;
  /** Since when this incarnation has the place (monotonic). */
  since: number;
  /** Another agent that lives, or lived, under the id at the same time; when it was heard last, and when that was logged. */
  twin: { readonly view: AgentView; readonly seenAt: number; toldAt: number } | undefined;
  readonly credits: Map<string, Credit>;
  /** Attempts of this node's tasks at the agent. */
  readonly flights: Set<LiveActor>;
  /** Monotonic time of its last beat, and of the last probe. */
  heardAt: number;
  probing: boolean;
  /** It has missed a beat: it gets nothing new until it is heard again. */
  quiet: boolean;
}

/** An agent beats every second: a node that listens for so long has heard every agent that is connected. */
const FULL_BEAT_MS = 1_500;

/** The agents that this node has heard of. */
export class AgentsTable {
  readonly #agents = new Map<string, AgentEntry>();
  readonly #byDriver = new Map<string, Credit[]>();
  readonly #onChange = new Map<string, Set<() => void>>();
  /** Monotonic time since when beats are heard; `undefined` while they are not. */
  #heardSince: number | undefined;

  get(id: string): AgentEntry | undefined {
    return this.#agents.get(id);
  }

  all(): IterableIterator<AgentEntry> {
    return this.#agents.values();
  }

  /** Beats are heard from now on (monotonic); `undefined`: none are heard at present. Agents may have come meanwhile. */
  listens(since: number | undefined): void {
    this.#heardSince = since;
  }

  /** Whether every agent that is connected has been heard: before that, an agent that is not in the table may yet be there. */
  isSettled(now: number): boolean {
    return this.#heardSince !== undefined && now - this.#heardSince >= FULL_BEAT_MS;
  }

  /** Calls `listener` after each change of which agents take work of the driver. Answers what ends that. */
  onChange(driver: string, listener: () => void): () => void {
    const listeners = this.#onChange.get(driver) ?? new Set<() => void>();
    this.#onChange.set(driver, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#onChange.get(driver) === listeners) this.#onChange.delete(driver);
    };
  }

  /** The slots of every agent of the driver that takes work. */
  credits(driver: string): readonly Credit[] {
    return this.#byDriver.get(driver) ?? [];
  }

  /** Tells whether a beat is from the known incarnation, from one that took its place, or from one that is no more. */
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

  /** Answers whether the agent took work of the driver until now. */
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

/** An agent that was started again under its id may serve others. */
function sameDrivers(before: AgentView, now: AgentView): boolean {
  return (
    before.drivers.length === now.drivers.length &&
    before.drivers.every(({ name }, index) => name === now.drivers[index]?.name)
  );
}
