import { createAgent, type Agent, type AgentOptions } from "@ergon/agents";
import { connect, type Client, type ConnectOptions, type Logger } from "@ergon/core";
import { createNames, type Names } from "@ergon/core/engine";
import { createNode, type Node, type NodeOptions } from "@ergon/node";
import { connect as connectClassic, type NatsConnection } from "nats";

import { test as base } from "./nats-fixtures.ts";

interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Nodes, agents and clients in this process, on a namespace of their own; all are stopped after the test. */
export interface Local {
  readonly namespace: string;
  readonly names: Names;
  readonly url: string;
  /** What the nodes have logged. */
  readonly log: LogLine[];
  /** Starts a node and waits until it serves its shards. */
  node(options?: NodeOptions): Promise<Node>;
  agent(options: AgentOptions): Promise<Agent>;
  client(options?: ConnectOptions): Promise<Client>;
  /** A connection of the classic `nats` package: a stranger's. */
  stranger(): Promise<NatsConnection>;
}

export function createLocal(
  url: string,
  namespace: string,
): { readonly local: Local; readonly stop: () => Promise<void> } {
  const stops: (() => Promise<unknown>)[] = [];
  const log: LogLine[] = [];
  const local: Local = {
    namespace,
    names: createNames(namespace),
    url,
    log,
    node: async (options = {}) => {
      const { nats, ...rest } = options;
      const node = await createNode(
        { shards: 8, namespace, drainMs: 2_000, ...rest, nats: { servers: url, ...nats } },
        recorder(log),
      );
      stops.push(() => node.stop());
      await node.ready;
      return node;
    },
    agent: async (options) => {
      const agent = createAgent({
        signals: [],
        drainMs: 0,
        ...options,
        namespace,
        nats: { servers: url, ...options.nats },
      });
      stops.push(() => agent.stop({ drainMs: 0 }));
      await agent.start();
      return agent;
    },
    client: async (options = {}) => {
      const { nats, ...rest } = options;
      const client = await connect({ namespace, timeoutMs: 5_000, ...rest, nats: { servers: url, ...nats } });
      stops.push(() => client.close());
      return client;
    },
    stranger: async () => {
      const nats = await connectClassic({ servers: url });
      stops.push(() => nats.close());
      return nats;
    },
  };
  return {
    local,
    stop: async () => {
      for (const stop of stops.reverse()) await stop();
    },
  };
}

export const test = base.extend<{ local: Local }>({
  local: async ({ server, namespace }, use) => {
    const { local, stop } = createLocal(server.url, namespace);
    await use(local);
    await stop();
  },
});

function recorder(lines: LogLine[], more: object = {}): Logger {
  const write = (level: LogLine["level"]) => (fields: object, text: string) => {
    lines.push({ level, text, fields: { ...more, ...fields } });
  };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: (fields) => recorder(lines, { ...more, ...fields }),
  };
}
