import { silentLogger } from "../base/logger.ts";
import type { Logger } from "../base/logger.ts";
import type { Ports } from "../ports/ports.ts";
import { Broker } from "./broker.ts";
import type { BrokerOptions, Faults, Storage } from "./broker.ts";
import { createMemoryBus } from "./bus.ts";
import type { ProcessClock } from "./clock.ts";
import { LeaseState, createMemoryLeases } from "./lease.ts";
import { Link } from "./link.ts";
import { RecordState, createMemoryRecords } from "./store.ts";

export interface MemoryNetworkOptions extends BrokerOptions {
  /** @defaultValue 64 */
  readonly shards?: number;
  /** @defaultValue 1 */
  readonly buckets?: number;
  /** True if the commits of a bucket go one at a time. @defaultValue false */
  readonly oneInFlight?: boolean;
}

export interface ProcessOptions {
  /** The process's own clock. @defaultValue the broker's clock */
  readonly clock?: ProcessClock;
  readonly logger?: Logger;
  /** @defaultValue 0 */
  readonly distanceMs?: number;
}

/** A process's connection, and the faults that a test can cause in it. */
export interface MemoryProcess extends Ports {
  readonly name: string;
  /** Kills the process (`kill -9`). Sent messages arrive, its subscriptions end at once, and its timers never run. */
  kill(): void;
  /** Removes the host silently. The broker does not notice before `staleAfterMs`. */
  vanish(): void;
  /** Breaks the connection. Messages in transit to the process are lost, and the process lives on. */
  disconnect(): void;
  /** Restores the connection and its subscriptions. */
  reconnect(): void;
  /** Sets the milliseconds between process and broker in each direction, in addition to the latency of the network. */
  distanceMs: number;
  /** Sets the subjects to which the process may not publish. */
  readonly denied: Set<string>;
  /** Pauses the process (SIGSTOP). It runs and receives nothing until {@link MemoryProcess.resume}. */
  pause(): void;
  resume(): void;
}

/** A NATS server with JetStream inside one process, as far as the ports can tell. It serves many simulated processes. */
export interface MemoryNetwork {
  readonly faults: Faults;
  storage: Storage;
  /** Pauses the server (SIGSTOP). It receives and sends nothing, and every connection stays open. */
  freeze(): void;
  thaw(): void;
  /** Moves the server's wall clock forward by `ms`, or back. */
  stepClock(ms: number): void;
  connect(name?: string, options?: ProcessOptions): MemoryProcess;
}

/** Makes a network. The same clock, random source and calls always give the same run. */
export function createMemoryNetwork(options: MemoryNetworkOptions): MemoryNetwork {
  const broker = new Broker(options);
  const records = new RecordState(broker, {
    shards: options.shards ?? 64,
    buckets: options.buckets ?? 1,
    oneInFlight: options.oneInFlight ?? false,
  });
  const leases = new LeaseState(broker.clock);
  const links: Link[] = [];
  let frozen = false;

  return {
    faults: broker.faults,
    get storage() {
      return broker.storage;
    },
    set storage(value) {
      broker.storage = value;
    },
    freeze: () => {
      frozen = true;
      for (const link of links) link.hold("frozen");
    },
    thaw: () => {
      frozen = false;
      for (const link of links) link.letGo("frozen");
    },
    stepClock: (ms) => broker.stepClock(ms),
    connect: (name = broker.newId(), { clock, logger = silentLogger, distanceMs = 0 } = {}) => {
      const link = new Link(broker, name, clock ?? broker.clock, logger);
      link.distanceMs = distanceMs;
      links.push(link);
      if (frozen) link.hold("frozen");
      return {
        name,
        get distanceMs() {
          return link.distanceMs;
        },
        set distanceMs(value) {
          link.distanceMs = value;
        },
        denied: link.denied,
        bus: createMemoryBus(link),
        records: createMemoryRecords(link, records),
        leases: createMemoryLeases(link, leases),
        close: async () => link.close(),
        kill: () => {
          clock?.stop();
          link.die();
        },
        vanish: () => {
          clock?.stop();
          link.vanish();
        },
        disconnect: () => link.disconnect(),
        reconnect: () => link.reconnect(),
        pause: () => {
          clock?.pause();
          link.inbound.pause("process");
        },
        resume: () => {
          const read = (): void => link.inbound.resume("process");
          if (clock === undefined) read();
          else clock.resume(read);
        },
      };
    },
  };
}
