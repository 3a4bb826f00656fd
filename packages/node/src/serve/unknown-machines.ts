import { NotFoundError, UnavailableError } from "@ergon/core";

import type { Cluster } from "../membership/cluster.ts";
import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";

/** For so long after somebody asked for a machine its shard looks for a node that knows it. */
const WANTED_MS = 30_000;
const ASK_AGAIN_MS = 250;

/** What becomes of a start whose machine this node does not know, though the shard is its own. */
export class UnknownMachines {
  readonly #context: NodeContext;
  readonly #cluster: Cluster;

  constructor(context: NodeContext, cluster: Cluster) {
    this.#context = context;
    this.#cluster = cluster;
  }

  /**
   * The answer to the start. Where another node knows the machine, and all else that the shard's records need, the shard goes there: ask again.
   * `version` absent: the newest that anybody knows.
   */
  refuse(shard: HostedShard, name: string, version: string | undefined): Error {
    const machines = this.#cluster.machinesMap();
    const known = machines.versions(name);
    const wanted = version === undefined ? known.at(-1) : `${name}@${version}`;
    if (wanted === undefined || !known.includes(wanted))
      return new NotFoundError("MACHINE_NOT_FOUND", `no node knows machine ${wanted ?? name}`);
    if (machines.eligible(shard.number, [wanted])?.size === 0) {
      const text = `no one node knows ${wanted} and all other machines of the instances in shard ${shard.number}; let all nodes of a namespace know the same machines`;
      return new NotFoundError("MACHINE_NOT_FOUND", text);
    }
    const now = this.#context.clock.monotonic();
    shard.want(wanted, now, now + WANTED_MS);
    return new UnavailableError("SHARD_MOVED", `shard ${shard.number} goes to a node that knows ${wanted}; ask again`, {
      retryAfterMs: ASK_AGAIN_MS,
    });
  }
}
