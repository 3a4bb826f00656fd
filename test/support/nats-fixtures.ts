import { connectNats, openNats } from "@ergon/core/nats";
import type { NamespaceOptions, NatsPorts } from "@ergon/core/nats";
import type { Suite } from "@ergon/core/testing";
import { test as base } from "vitest";

import { startTestServer } from "./nats-server.ts";
import type { TestServer, TestServerOptions } from "./nats-server.ts";

export interface NatsWorkerFixtures {
  /** One server for all tests of a worker; do not stop it. */
  readonly server: TestServer;
}

export interface NatsTestFixtures {
  /** A namespace that no other test uses. */
  readonly namespace: string;
  /** A server of the test's own, stopped after it. */
  readonly start: (options?: TestServerOptions) => Promise<TestServer>;
}

let lastNamespace = 0;

/** A name that is used once: tests of a worker share its server. */
export function uniqueNamespace(): string {
  return `t${process.pid}_${++lastNamespace}`;
}

export const test = base.extend<{ $worker: NatsWorkerFixtures; $test: NatsTestFixtures }>({
  server: [
    async ({}, use) => {
      const server = await startTestServer();
      await use(server);
      await server.stop();
    },
    { scope: "worker" },
  ],
  namespace: async ({}, use) => {
    await use(uniqueNamespace());
  },
  start: async ({}, use) => {
    const servers: TestServer[] = [];
    await use(async (options) => {
      const server = await startTestServer(options);
      servers.push(server);
      return server;
    });
    for (const server of servers) await server.stop();
  },
});

/** Namespaces on a server for the conformance suites. */
export function natsSuite(url: () => string | readonly string[], options: Partial<NamespaceOptions> = {}): Suite {
  return {
    open: async () => {
      const namespace = uniqueNamespace();
      const open: NatsPorts[] = [];
      return {
        connect: async () => {
          const link = await connectNats({ servers: url() });
          const ports = await openNats(link, { namespace, ...options });
          open.push(ports);
          return ports;
        },
        close: async () => {
          for (const ports of open) await ports.close();
        },
      };
    },
  };
}
