import { createHash } from "node:crypto";

import { H, createNames } from "@ergon/core";
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
  /** `<task>.<attempt>` of every result that an agent has sent, and of every answer that was recorded, or refused. */
  const results = new Set<string>();
  const recorded = new Set<string>();
  const refused = new Set<string>();
  const { root } = createNames(namespace);
  nats.subscribe(ledgerSubject(namespace), { callback: (_, message) => entries.push(message.json<LedgerEntry>()) });
  nats.subscribe(`${root}.shard.*.reply.*.*`, {
    callback: (_, { subject, headers }) => {
      if (headers?.get(H.event) === "succeeded") results.add(lastTwo(subject));
    },
  });
  nats.subscribe(`${root}.recorded.>`, {
    callback: (_, { subject, headers }) => {
      (headers?.get(H.error) ? refused : recorded).add(lastTwo(subject));
    },
  });
  await nats.flush();
  const of = (task: string): LedgerEntry[] => entries.filter((entry) => entry.task === task);
  const ledger: Ledger = {
    entries,
    accepted: (task) => attemptsOf(task, recorded).filter((attempt) => results.has(`${task}.${attempt}`)),
    settled: (task) => [...attemptsOf(task, recorded), ...attemptsOf(task, refused)],
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

const lastTwo = (subject: string): string => subject.split(".").slice(-2).join(".");

function attemptsOf(task: string, answers: ReadonlySet<string>): number[] {
  return [...answers]
    .filter((answer) => answer.startsWith(`${task}.`))
    .map((answer) => Number(answer.slice(task.length + 1)));
}
