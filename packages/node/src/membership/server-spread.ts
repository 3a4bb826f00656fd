import type { Clock, Logger, TimerHandle } from "@ergon/core";
import type { Placement } from "@ergon/core/nats";

/** The time for which nodes must be gathered on a server before one leaves it, because connections and servers still come back after a failover. */
const SETTLE_MS = 5_000;

/** The place of a node: its id, and the NATS server of its connection, if it reports one. */
export interface Placed {
  readonly id: string;
  readonly server?: string | undefined;
}

/**
 * Tells whether the node `id` has to leave its NATS server for another one. If another server has at least two nodes fewer than the fullest one, the last
 * node by id leaves the fullest. Every node computes the same answer, so one node moves at a time, and none moves when the numbers differ by at most one.
 */
export function mustMove(id: string, nodes: readonly Placed[], servers: number): boolean {
  const byServer = Map.groupBy(
    nodes.filter(({ server }) => server !== undefined),
    ({ server }) => server ?? "",
  );
  const least = byServer.size < servers ? 0 : Math.min(...[...byServer.values()].map((there) => there.length));
  const [fullest] = [...byServer].toSorted(([a, one], [b, other]) => other.length - one.length || (a < b ? -1 : 1));
  if (fullest === undefined || fullest[1].length - least < 2) return false;
  const last = fullest[1]
    .map((node) => node.id)
    .toSorted()
    .at(-1);
  return last === id;
}

export interface SpreadParts {
  readonly id: string;
  readonly placement: Placement;
  /** The living nodes, including this one. */
  readonly nodes: () => readonly Placed[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Spreads the nodes over the NATS servers. Connections choose a server at random and keep it, so all nodes may use one server after the failovers of an
 * upgrade, and the silence of that server would stop them all.
 */
export class ServerSpread {
  readonly #parts: SpreadParts;
  #timer: TimerHandle;
  /** The number of advertised servers when `#tries` began. */
  #advertised = 0;
  /** The number of moves since then. A server may advertise several addresses, so a node that has dialled as many times has found every server. */
  #tries = 0;
  #stopped = false;

  constructor(parts: SpreadParts) {
    this.#parts = parts;
    parts.placement.onChange(() => this.check());
  }

  /** The cluster calls this when nodes have come, gone or moved. */
  check(): void {
    if (this.#stopped || !this.#mustMove()) {
      this.#parts.clock.cancel(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#timer ??= this.#parts.clock.after(SETTLE_MS, () => {
      this.#timer = undefined;
      if (!this.#stopped && this.#mustMove()) this.#move();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#parts.clock.cancel(this.#timer);
  }

  #mustMove(): boolean {
    const { id, nodes, placement } = this.#parts;
    // If the session names another server, this node has just moved, and the other nodes do not know it yet.
    const own = nodes().find((node) => node.id === id)?.server;
    if (own === undefined || own !== placement.server) return false;
    if (placement.servers !== this.#advertised) {
      this.#advertised = placement.servers;
      this.#tries = 0;
    }
    const mayBeEmpty = this.#tries < this.#advertised;
    return mustMove(id, nodes(), mayBeEmpty ? this.#advertised : 1);
  }

  #move(): void {
    const { placement, logger } = this.#parts;
    logger.info(
      { server: placement.server },
      "this NATS server has more nodes than others; the node reconnects to another",
    );
    this.#tries += 1;
    placement.move();
  }
}
