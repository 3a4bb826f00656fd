import { hostname } from "node:os";

import { createSystemClock, isErgonError, type Clock, type Logger } from "@ergon/core";
import { createIdFactory, delay, systemRandom } from "@ergon/core/engine";
import { connectNats, openNats, type NatsPorts } from "@ergon/core/nats";

import { createHeapGauge } from "./heap.ts";
import { loadMachines } from "./load-machines.ts";
import { createLogger } from "./logger.ts";
import { resolveNodeOptions, type NodeOptions } from "./options.ts";
import { startNode, type Node } from "./start-node.ts";
import { VERSION } from "./version.ts";

const OPEN_AGAIN_MS = 500;
/** A new cluster of servers may need this long to elect its leaders. */
const OPEN_MS = 10_000;

/**
 * Connects to NATS, and starts a node. The node joins the cluster of its namespace, and serves its share of the shards. Creates the namespace if it
 * is new. Throws `INVALID_CONFIGURATION` with an issue per fault, `NATS_UNREACHABLE`, `SERVER_UNSUITABLE` (version, JetStream) and `NOT_PERMITTED`.
 */
export function createNode(options: NodeOptions = {}, logger: Logger = createLogger(options.log)): Promise<Node> {
  return openNode(options, logger, { warnsOfSync: true });
}

/** Does the same as `createNode`. `warnsOfSync` says whether it warns about writes that a server may lose because it does not sync each one. */
export async function openNode(
  options: NodeOptions,
  logger: Logger,
  { warnsOfSync }: { readonly warnsOfSync: boolean },
): Promise<Node> {
  const resolved = resolveNodeOptions(options);
  const { nats, namespace, prefix, id, shards, buckets, replicas, sessionTtlMs, commitMode, drivers, drainMs } =
    resolved;
  const machines = await loadMachines(resolved.machines);
  const clock = createSystemClock();
  // The id is unique for each process: the user's name and a random suffix.
  const node = `${id ?? hostLabel()}-${createIdFactory(systemRandom)().slice(0, 8)}`;
  const link = await connectNats({ name: `ergon-node ${node}`, ...nats }, { clock, logger });
  try {
    const ports = await openPatiently(
      () => openNats(link, { namespace, prefix, shards, buckets, replicas, commitMode }),
      clock,
      Math.max(OPEN_MS, nats.waitMs ?? 0),
      logger,
    );
    if (warnsOfSync && !ports.records.oneInFlight) {
      logger.warn(
        {},
        "the only NATS server does not sync every write: a power loss can lose up to two minutes of acknowledged tasks (docs/guarantees.md); set sync_interval: always, or use three replicas",
      );
    }
    const parts = { id: node, namespace, prefix, ports, clock, random: systemRandom, logger, sessionTtlMs };
    const self = { version: VERSION, hostName: hostname(), pid: process.pid };
    const heap = createHeapGauge();
    const running = await startNode({ ...parts, ...self, drivers, machines, heap, placement: link.placement });
    const stop = async (stopOptions?: { readonly drainMs?: number }): Promise<void> => {
      await running.stop({ drainMs: stopOptions?.drainMs ?? drainMs });
      heap.stop();
      await ports.close();
    };
    let stopping: Promise<void> | undefined;
    return { id: node, ready: running.ready, stop: (stopOptions) => (stopping ??= stop(stopOptions)) };
  } catch (error) {
    await link.drain();
    throw error;
  }
}

/** Connects again until the time for NATS is over, because a cluster that has just started has no leaders yet. */
async function openPatiently(
  open: () => Promise<NatsPorts>,
  clock: Clock,
  waitMs: number,
  logger: Logger,
): Promise<NatsPorts> {
  const end = clock.monotonic() + waitMs;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!isErgonError(error) || error.kind !== "unavailable" || clock.monotonic() >= end) throw error;
      logger.info({ reason: error.message }, "the namespace cannot be opened yet; the node tries again");
      await delay(clock, OPEN_AGAIN_MS);
    }
  }
}

function hostLabel(): string {
  return (
    hostname()
      .replaceAll(/[^A-Za-z0-9_-]/g, "-")
      .slice(0, 40) || "node"
  );
}

export type { Node };
