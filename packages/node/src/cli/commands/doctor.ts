import { InvalidError, createClient, createNames, isErgonError, silentLogger, SECOND, type Client } from "@ergon/core";
import { connectNats, createNatsBus, inspectNats, type NatsFacts } from "@ergon/core/nats";
import type { Command } from "commander";

import { createLogger } from "../../logger.ts";
import { exitCodes } from "../exit-codes.ts";
import { judge, judgeWithout, type ClusterFacts, type Finding, type Sync } from "../findings.ts";
import type { Paint } from "../output.ts";
import type { Cli, Session } from "../session.ts";

const examples = `
Exit code 1 when something must be fixed; notes do not count.

Examples:
  ergon doctor --nats nats://nats-1:4222
  ergon doctor --monitor http://127.0.0.1:8222 --json`;

const CLUSTER_TIMEOUT_MS: number = 3 * SECOND;
const MONITOR_TIMEOUT_MS: number = 3 * SECOND;
const paints: Readonly<Record<Finding["level"], Paint>> = { good: "green", note: "yellow", bad: "red" };

export function doctor(program: Command, cli: Cli): void {
  program
    .command("doctor")
    .summary("check what Ergon's guarantees rest on")
    .description(
      "Checks the server's version, sync settings, replicas, clock, permissions and nodes, and says which guarantees hold under them. Writes a scratch key into each bucket to test whether the bucket accepts writes.",
    )
    .option("--monitor <url>", "the server's monitoring URL, such as http://HOST:8222; only it shows the sync setting")
    .addHelpText("after", examples)
    .action(
      cli.action(["connection"], async (session, { monitor }: { monitor?: string }) => {
        const findings = await examine(session, monitor);
        const { output } = session;
        if (output.json) for (const finding of findings) output.value(finding);
        else
          output.table(
            ["", "what", "finding"],
            findings.map(({ level, topic, text }) => [
              { text: level, paint: paints[level] },
              { text: topic },
              { text },
            ]),
          );
        return findings.some(({ level }) => level === "bad") ? exitCodes.failed.code : exitCodes.done.code;
      }),
    );
}

async function examine(
  { settings: { nats, namespace, prefix }, debug }: Session,
  monitor: string | undefined,
): Promise<readonly Finding[]> {
  const names = createNames(namespace, prefix);
  const logger = debug ? createLogger({ level: "debug" }) : silentLogger;
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

/** `/jsz` of the monitoring port; the interval is in nanoseconds. */
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
