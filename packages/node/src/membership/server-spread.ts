import type { Clock, Logger, TimerHandle } from "@ergon/core";
import type { Placement } from "@ergon/core/nats";

/** For how long nodes must be gathered on a server before one leaves it: after a failover, connections and servers still come back. */
const SETTLE_MS = 5_000;

/** Where a node is: its id, and the NATS server that it is connected to as far as it says. */
export interface Placed {
  readonly id: string;
  readonly server?: string | undefined;
}

/**
 * Whether `id` is the node that has to leave its NATS server for another one: of the server with most nodes, while another server has at least two
 * fewer, the last by id. Every node computes the same, so one at a time moves, and none does once the numbers differ by at most one.
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
  /** The living nodes, this one among them. */
  readonly nodes: () => readonly Placed[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Spreads the nodes over the NATS servers: connections choose a server at random and keep it, so after the failovers of an upgrade all nodes may be
 * on one server, whose silence would stop them all.
 */
export class ServerSpread {
  readonly #parts: SpreadParts;
  #timer: TimerHandle;
  /** How many servers were advertised when `#tries` began. */
  #advertised = 0;
  /** Moves since then. A server may advertise several addresses: who has dialled as many as there are has found every server that there is. */
  #tries = 0;
  #stopped = false;

  constructor(parts: SpreadParts) {
    this.#parts = parts;
    parts.placement.onChange(() => this.check());
  }

  /** To be called when nodes have come, gone or moved. */
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
    // Where the session names another server, this node has just moved, and the others do not know it yet.
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
