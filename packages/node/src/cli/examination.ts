import { InvalidError, createClient, isErgonError, SECOND, type Client } from "@ergon/core";
import { createNames } from "@ergon/core/engine";
import { connectNats, createNatsBus, inspectNats, type NatsFacts } from "@ergon/core/nats";

import { judge, judgeWithout, type ClusterFacts, type Finding, type Sync } from "./findings.ts";
import { loggerOf, type Session } from "./session.ts";

const CLUSTER_TIMEOUT_MS: number = 3 * SECOND;
const MONITOR_TIMEOUT_MS: number = 3 * SECOND;

/** Collects the findings of `ergon doctor`. It asks NATS, the nodes and, if it has the URL, the monitoring port. */
export async function examine(
  { settings: { nats, namespace, prefix }, debug }: Session,
  monitor: string | undefined,
): Promise<readonly Finding[]> {
  const names = createNames(namespace, prefix);
  const logger = await loggerOf(debug);
  const link = await connectNats({ name: "ergon doctor", ...nats }, { logger });
  const client = createClient({
    bus: createNatsBus(link),
    namespace,
    prefix,
    timeoutMs: CLUSTER_TIMEOUT_MS,
    inboxPrefix: nats.inboxPrefix,
  });
  try {
    const [facts, cluster] = await Promise.all([readFacts(inspectNats(link, names)), readCluster(client)]);
    const sync = monitor === undefined ? undefined : await readSync(monitor);
    return typeof facts === "string" ? judgeWithout(facts, cluster) : judge(facts, names, sync, cluster);
  } finally {
    await client.close();
    await link.close();
  }
}

/** The facts about NATS, or the reason why there are none. */
async function readFacts(inspected: Promise<NatsFacts>): Promise<NatsFacts | string> {
  try {
    return await inspected;
  } catch (error) {
    if (isErgonError(error) && error.kind === "unavailable") return error.message;
    throw error;
  }
}

async function readCluster(client: Client): Promise<ClusterFacts | undefined> {
  try {
    const [nodes, agents, map] = await Promise.all([client.nodes(), client.agents(), client.shards()]);
    return { nodes, agents, map };
  } catch (error) {
    if (isErgonError(error) && error.kind === "unavailable") return undefined;
    throw error;
  }
}

/** Reads `/jsz` of the monitoring port. The interval is in nanoseconds. */
async function readSync(monitor: string): Promise<Sync> {
  try {
    const response = await fetch(new URL("/jsz?config=1", monitor), {
      signal: AbortSignal.timeout(MONITOR_TIMEOUT_MS),
    });
    const { config } = (await response.json()) as { config?: { sync_interval?: number; sync_always?: boolean } };
    return { always: config?.sync_always === true, intervalMs: (config?.sync_interval ?? 120_000_000_000) / 1_000_000 };
  } catch (cause) {
    throw new InvalidError("INVALID_OPTION", `--monitor: no NATS monitoring port answers at ${monitor}`, { cause });
  }
}
