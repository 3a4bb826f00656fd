import { createHash } from "node:crypto";

import { H, createNames } from "@ergon/core/engine";
import { connect } from "nats";
import { expect } from "vitest";

/** How an agent process is set up. */
export interface AgentSettings {
  readonly ledgerUrl: string;
  readonly namespace?: string;
  readonly id?: string;
  readonly concurrency?: number;
  readonly cutOffMs?: number;
  readonly drainMs?: number;
  readonly nats?: { readonly servers: string };
}

/** What an agent process writes down: that an attempt ran, and that one was told to stop. */
export interface LedgerEntry {
  readonly event: "ran" | "stopped";
  readonly task: string;
  readonly attempt: number;
  readonly agent: string;
  readonly payload: string;
  readonly arguments: Readonly<Record<string, string>>;
}

/** A task as the ledger is asked about it. */
export interface Expected {
  readonly id: string;
  readonly payload: string;
  readonly response: string;
}

export interface Ledger {
  readonly entries: LedgerEntry[];
  /** Attempts of the task whose result a node has recorded and said so. */
  accepted(task: string): readonly number[];
  /** Attempts of the task whose answer, of whatever kind, a node has recorded or refused. */
  settled(task: string): readonly number[];
  of(task: string): readonly LedgerEntry[];
  /** Every task has the right answer, ran, and had at most one answer accepted; no attempt ran twice in one agent. */
  check(tasks: readonly Expected[]): void;
  stop(): Promise<void>;
}

export const ledgerSubject = (namespace: string): string => `ledger.${namespace}`;

/** What the work of a payload is: no agent can have guessed it. */
export function rightAnswer(payload: string): string {
  return createHash("sha1").update(payload).digest("hex");
}

/** Listens to the agents, and to the nodes' word on the agents' answers. */
export async function openLedger(url: string, namespace: string): Promise<Ledger> {
  const nats = await connect({ servers: url });
  const entries: LedgerEntry[] = [];
  const byTask = new Map<string, LedgerEntry[]>();
  /** By task the attempts of which an agent has sent a result, and whose answer, of whatever kind, was recorded, or refused. */
  const results: Attempts = new Map();
  const recorded: Attempts = new Map();
  const refused: Attempts = new Map();
  const { root } = createNames(namespace);
  nats.subscribe(ledgerSubject(namespace), {
    callback: (_, message) => {
      const entry = message.json<LedgerEntry>();
      entries.push(entry);
      byTask.set(entry.task, [...(byTask.get(entry.task) ?? []), entry]);
    },
  });
  nats.subscribe(`${root}.shard.*.reply.*.*`, {
    callback: (_, { subject, headers }) => {
      if (headers?.get(H.event) === "succeeded") note(results, subject);
    },
  });
  nats.subscribe(`${root}.recorded.>`, {
    callback: (_, { subject, headers }) => {
      note(headers?.get(H.error) ? refused : recorded, subject);
    },
  });
  await nats.flush();
  const of = (task: string): readonly LedgerEntry[] => byTask.get(task) ?? [];
  const ledger: Ledger = {
    entries,
    accepted: (task) => [...(recorded.get(task) ?? [])].filter((attempt) => results.get(task)?.has(attempt)),
    settled: (task) => [...(recorded.get(task) ?? []), ...(refused.get(task) ?? [])],
    of,
    check: (tasks) => {
      for (const { id, payload, response } of tasks) {
        expect({ id, response }).toEqual({ id, response: rightAnswer(payload) });
        const accepted = ledger.accepted(id);
        expect({ id, accepted }).toEqual({ id, accepted: accepted.slice(0, 1) });
        const runs = of(id)
          .filter(({ event }) => event === "ran")
          .map(({ attempt, agent }) => `${attempt} at ${agent}`);
        expect({ id, runs }).toEqual({ id, runs: [...new Set(runs)] });
        expect(runs).not.toEqual([]);
      }
    },
    stop: () => nats.close(),
  };
  return ledger;
}

type Attempts = Map<string, Set<number>>;

/** Takes down the attempt whose answer the subject, `….<task>.<attempt>`, is about. */
function note(attempts: Attempts, subject: string): void {
  const [task = "", attempt] = subject.split(".").slice(-2);
  attempts.set(task, (attempts.get(task) ?? new Set()).add(Number(attempt)));
}
