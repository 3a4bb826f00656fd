import { NotFoundError, UnavailableError } from "@ergon/core";

import type { Cluster } from "../membership/cluster.ts";
import type { NodeContext } from "../node-context.ts";
import type { HostedShard } from "../shard/hosted-shard.ts";

/** The time for which a shard looks for a node that knows a machine, after a request for it. */
const WANTED_MS = 30_000;
const ASK_AGAIN_MS = 250;

/** Refuses the start of a machine that this node does not know, though it owns the shard. */
export class UnknownMachines {
  readonly #context: NodeContext;
  readonly #cluster: Cluster;

  constructor(context: NodeContext, cluster: Cluster) {
    this.#context = context;
    this.#cluster = cluster;
  }

  /**
   * Returns the error for the start. If another node knows the machine and everything else that the shard's records need, the shard goes there, and the
   * sender asks again. If `version` is absent, the newest version that such a node knows counts.
   */
  refuse(shard: HostedShard, name: string, version: string | undefined): Error {
    const machines = this.#cluster.machinesMap();
    const asked = version === undefined ? name : `${name}@${version}`;
    const known = machines.versions(name).filter((machine) => version === undefined || machine === asked);
    if (known.length === 0)
      return new NotFoundError(
        "MACHINE_NOT_FOUND",
        `no node knows the machine ${asked}; start a node that registers it`,
      );
    const wanted = known.findLast((machine) => machines.eligible(shard.number, [machine])?.size !== 0);
    if (wanted === undefined) {
      const text = `no one node knows ${asked} and all other machines of the instances in shard ${shard.number}; let all nodes of a namespace know the same machines`;
      return new NotFoundError("MACHINE_NOT_FOUND", text);
    }
    const now = this.#context.clock.monotonic();
    shard.want(wanted, now, now + WANTED_MS);
    return new UnavailableError(
      "SHARD_MOVED",
      `shard ${shard.number} moves to a node that knows ${wanted}; send the request again`,
      {
        retryAfterMs: ASK_AGAIN_MS,
      },
    );
  }
}
