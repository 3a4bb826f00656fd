/** The machines as `name@version`, and the shards whose records need them. */
export type Needs = Readonly<Record<string, readonly number[]>>;

/** The machines in the session of a node. */
interface Knowing {
  readonly id: string;
  readonly machines: readonly string[];
  /** The versions whose instances the machine takes over. */
  readonly migratable?: readonly string[];
  readonly needs: Needs;
}

/** The machines that each living node knows and that each shard's records need, as all sessions together report them. */
export class MachinesMap {
  readonly #nodes: readonly Knowing[];
  readonly #byShard = new Map<number, Set<string>>();
  /** The nodes for each set of needs, because shards with equal needs can go to the same nodes. */
  readonly #knowing = new Map<string, ReadonlySet<string>>();

  constructor(nodes: readonly Knowing[]) {
    this.#nodes = nodes;
    for (const { needs } of nodes) {
      for (const [machine, shards] of Object.entries(needs)) {
        for (const shard of shards) {
          const needed = this.#byShard.get(shard);
          if (needed === undefined) this.#byShard.set(shard, new Set([machine]));
          else needed.add(machine);
        }
      }
    }
  }

  /** Returns the nodes that know everything that the records of a shard need, or `undefined` if these are all nodes. */
  eligible(shard: number, more: readonly string[] = []): ReadonlySet<string> | undefined {
    const needed = this.#byShard.get(shard);
    if (needed === undefined && more.length === 0) return undefined;
    const knowing = this.#knowingAll([...(needed ?? []), ...more]);
    return knowing.size === this.#nodes.length ? undefined : knowing;
  }

  /** Lists the machines that the records of a shard need and that no living node knows. */
  missing(shard: number): readonly string[] {
    return [...(this.#byShard.get(shard) ?? [])]
      .filter((machine) => !this.#nodes.some((node) => hosts(node, machine)))
      .toSorted();
  }

  /** Lists the versions of a machine that living nodes know, as `name@version`, the newest last. */
  versions(name: string): readonly string[] {
    const known = new Set(this.#nodes.flatMap(({ machines }) => machines));
    return [...known]
      .filter((machine) => machine.startsWith(`${name}@`))
      .toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
  }

  #knowingAll(needed: readonly string[]): ReadonlySet<string> {
    const key = needed.toSorted().join(" ");
    const known = this.#knowing.get(key);
    if (known !== undefined) return known;
    const knowing = this.#nodes.filter((node) => needed.every((machine) => hosts(node, machine)));
    const ids = new Set(knowing.map(({ id }) => id));
    this.#knowing.set(key, ids);
    return ids;
  }
}

function hosts({ machines, migratable }: Knowing, machine: string): boolean {
  return machines.includes(machine) || migratable?.includes(machine) === true;
}
