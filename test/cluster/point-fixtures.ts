import { test as base } from "vitest";

import { startCluster, type Cluster, type Member } from "../support/cluster.ts";
import { uniqueNamespace } from "../support/nats-fixtures.ts";
import { startTestServer } from "../support/nats-server.ts";

/** Two nodes and two agents on a server of their own, for all tests of a file; each test finds two of each. */
export function pointTest(sessionTtlMs: number) {
  const namespace = uniqueNamespace();
  const test = base.extend<{ $file: { all: Cluster }; $test: { cluster: Cluster } }>({
    all: [
      async ({}, use) => {
        const server = await startTestServer();
        // A held write must not hold up the others of its bucket: they go one by one, whatever a busy machine measures.
        const cluster = await startCluster({
          url: server.url,
          namespace,
          node: { sessionTtlMs, commitMode: "pipelined" },
        });
        await use(cluster);
        await cluster.stop();
        await server.stop();
      },
      { scope: "file" },
    ],
    cluster: async ({ all }, use) => {
      while (nodesOf(all).length < 2) await all.startNode();
      while (agentsOf(all).length < 2) await all.startAgent({ settings: { concurrency: 16 } });
      await all.waitForShards(nodesOf(all));
      await use(all);
      // A test that failed may have left one standing still.
      for (const member of all.members) {
        member.proxy.forget();
        member.proxy.release();
        member.resume();
      }
    },
  });
  return { test, namespace };
}

export const nodesOf = ({ members }: Cluster): Member[] => members.filter(({ kind }) => kind === "node");
const agentsOf = ({ members }: Cluster): Member[] => members.filter(({ kind }) => kind === "agent");
