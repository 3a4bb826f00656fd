import { createClient, type Bus, type Client, type ClientOptions, type Message, type TaskView } from "@ergon/core";
import { H, JSON_TYPE, encodeBody, encodeError } from "@ergon/core/engine";
import { createManualClock, createMemoryNetwork, seededRandom, type ManualClock } from "@ergon/core/testing";
import { test as base } from "vitest";

export const viewOf = (id: string, status: TaskView["status"] = "scheduled"): TaskView => ({
  id,
  machine: "task",
  status,
  driver: "echo",
  payloadBytes: 0,
  scheduledAt: "2026-01-01T00:00:00.000Z",
  attempt: 0,
  failures: 0,
  lost: 0,
  history: [],
});

/** A node that says what it is told to, and a client that asks it. */
export interface Stage {
  readonly clock: ManualClock;
  readonly bus: Bus;
  /** Breaks the client's connection. */
  disconnect(): void;
  reconnect(): void;
  /** Closes it for good. */
  closeConnection(): Promise<void>;
  /** Every request that came to a subject, and the answer of `answer` to it. */
  serve(subject: string, answer: (message: Message, asked: number) => void): Message[];
  reply(message: Message, view: TaskView, final?: boolean, shard?: number): void;
  fail(message: Message, error: Error, headers?: Readonly<Record<string, string>>): void;
  client(options?: Partial<ClientOptions>): Client;
  /** Lets the clock run until `promise` is settled. */
  outcome<T>(promise: Promise<T>): Promise<T>;
}

export const test = base.extend<{ stage: Stage }>({
  stage: async ({}, use) => {
    const clock = createManualClock();
    const network = createMemoryNetwork({ clock });
    const node = network.connect("node");
    const process = network.connect("client");
    const { bus } = process;
    await use({
      clock,
      bus: node.bus,
      disconnect: () => process.disconnect(),
      reconnect: () => process.reconnect(),
      closeConnection: () => process.close(),
      serve: (subject, answer) => {
        const asked: Message[] = [];
        node.bus.subscribe(subject, (message) => {
          asked.push(message);
          answer(message, asked.length);
        });
        return asked;
      },
      reply: (message, view, final = false, shard = 0) => {
        const headers = {
          [H.status]: view.status,
          [H.task]: view.id,
          [H.final]: String(final),
          [H.shard]: String(shard),
        };
        node.bus.publish(message.reply ?? "", encodeBody(view, JSON_TYPE), { headers });
      },
      fail: (message, error, more = {}) => {
        const { data, headers } = encodeError(error);
        node.bus.publish(message.reply ?? "", data, { headers: { ...headers, ...more } });
      },
      client: (options) => createClient({ bus, clock, random: seededRandom(3), ...options }),
      outcome: async (promise) => {
        let settled = false;
        const result = Promise.allSettled([promise]).finally(() => {
          settled = true;
        });
        await clock.runUntil(() => settled);
        await result;
        return promise;
      },
    });
  },
});
