import type { Clock } from "@ergon/core";

import type { HostedShard } from "../shard/hosted-shard.ts";
import type { Needs } from "./machines-map.ts";

/** The time for which this node reports the needs of a shard that has left. The next owner reports them afterwards. */
const KEEP_MS = 5_000;

/** The machines that the records of this node's shards need, including shards that have just left. */
export class ShardNeeds {
  readonly #clock: Clock;
  readonly #hosted: ReadonlyMap<number, HostedShard>;
  readonly #left = new Map<number, { readonly machines: readonly string[]; readonly until: number }>();

  constructor(clock: Clock, hosted: ReadonlyMap<number, HostedShard>) {
    this.#clock = clock;
    this.#hosted = hosted;
  }

  /** Remembers the needs of a shard that leaves. */
  keep(shard: HostedShard): void {
    const machines = shard.needs(this.#clock.monotonic());
    if (machines.length > 0) this.#left.set(shard.number, { machines, until: this.#clock.monotonic() + KEEP_MS });
  }

  /** Returns the machines for the session, and the shards that need them. */
  read(): Needs {
    const needs = new Map<string, number[]>();
    const add = (shard: number, machines: readonly string[]): void => {
      for (const machine of machines) needs.set(machine, [...(needs.get(machine) ?? []), shard]);
    };
    for (const shard of this.#hosted.values()) add(shard.number, shard.needs(this.#clock.monotonic()));
    for (const [shard, { machines, until }] of this.#left) {
      if (until <= this.#clock.monotonic() || this.#hosted.has(shard)) this.#left.delete(shard);
      else add(shard, machines);
    }
    for (const shards of needs.values()) shards.sort((a, b) => a - b);
    return Object.fromEntries([...needs].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }
}
