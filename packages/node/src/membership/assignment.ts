/** The nodes that may host a shard, or `undefined` if any node may. */
export type Eligible = (shard: number) => ReadonlySet<string> | undefined;

interface Place {
  readonly node: string;
  /** The shards that only some nodes may host, and that this node has. */
  bound: number;
  /** The shards that any node may host, and that this node owns. */
  readonly loose: number[];
}

const anyNode: Eligible = () => undefined;

/**
 * Assigns the shards to the nodes. Counts differ by at most one as far as `eligible` allows, and no more shards move than that requires. Every node
 * computes the same answer from the same view, so no leader is needed.
 *
 * `owners[n]` is the present owner of shard n, if any. Owners that are not in `nodes` count as none. Returns the target owner of each shard
 * (`undefined` when there are no nodes).
 */
export function assign(
  nodes: readonly string[],
  owners: readonly (string | undefined)[],
  eligible: Eligible = anyNode,
): (string | undefined)[] {
  const target: (string | undefined)[] = owners.map(() => undefined);
  if (nodes.length === 0) return target;
  const places = new Map(nodes.toSorted().map((node): [string, Place] => [node, { node, bound: 0, loose: [] }]));
  const free: number[] = [];
  const bound: number[] = [];
  for (const [shard, owner] of owners.entries()) {
    const place = owner === undefined ? undefined : places.get(owner);
    if (among(eligible(shard), places).length > 0) bound.push(shard);
    else if (place === undefined) free.push(shard);
    else place.loose.push(shard);
  }
  bind(bound, owners, places, eligible, target);
  spread(free, places, owners.length - bound.length, target);
  return target;
}

/** Places the shards that only some nodes may host. They stay with a suitable owner, unless it has more of them than its share. */
function bind(
  shards: readonly number[],
  owners: readonly (string | undefined)[],
  places: ReadonlyMap<string, Place>,
  eligible: Eligible,
  target: (string | undefined)[],
): void {
  const put = (shard: number, to: Place): void => {
    const from = places.get(target[shard] ?? "");
    if (from !== undefined) from.bound--;
    to.bound++;
    target[shard] = to.node;
  };
  const homeless: number[] = [];
  for (const shard of shards) {
    const owner = places.get(owners[shard] ?? "");
    if (owner !== undefined && eligible(shard)?.has(owner.node) === true) put(shard, owner);
    else homeless.push(shard);
  }
  for (const shard of homeless) put(shard, leastBound(among(eligible(shard), places)));
  const share = Math.ceil(owners.length / places.size);
  for (let moved = true; moved;) {
    moved = false;
    for (const shard of shards) {
      const from = places.get(target[shard] ?? "");
      if (from === undefined || from.bound <= share) continue;
      const to = leastBound(among(eligible(shard), places));
      if (to.bound + 1 >= from.bound) continue;
      put(shard, to);
      moved = true;
    }
  }
}

/** Fills up the nodes to one level with all other shards. The nodes that hold most keep the odd ones. */
function spread(
  free: number[],
  places: ReadonlyMap<string, Place>,
  count: number,
  target: (string | undefined)[],
): void {
  const byHeld = [...places.values()].toSorted((a, b) => held(b) - held(a) || (a.node < b.node ? -1 : 1));
  const { level, odd } = levelOf(
    [...places.values()].map((place) => place.bound),
    count,
  );
  let extras = odd;
  const room: { node: string; places: number }[] = [];
  for (const { node, bound, loose } of byHeld) {
    const hasExtra = bound <= level && extras > 0;
    if (hasExtra) extras--;
    const quota = Math.max(0, level - bound) + (hasExtra ? 1 : 0);
    for (const shard of loose.slice(0, quota)) target[shard] = node;
    free.push(...loose.slice(quota));
    if (loose.length < quota) room.push({ node, places: quota - loose.length });
  }
  free.sort((a, b) => a - b);
  for (const { node, places: some } of room) for (const shard of free.splice(0, some)) target[shard] = node;
}

/** Returns the level to which `count` shards fill up nodes that already have some, and the number of remaining shards for nodes up to that level. */
function levelOf(heights: readonly number[], count: number): { level: number; odd: number } {
  let filled = 0;
  let below = 0;
  for (const [index, height] of heights.toSorted((a, b) => a - b).entries()) {
    // The `index` nodes before this one need this number of shards to reach its level.
    if (index > 0 && index * height - below > count) break;
    filled = index + 1;
    below += height;
  }
  const level = Math.floor((count + below) / filled);
  return { level, odd: count + below - level * filled };
}

function among(nodes: ReadonlySet<string> | undefined, places: ReadonlyMap<string, Place>): Place[] {
  return [...(nodes ?? [])].flatMap((node) => places.get(node) ?? []);
}

function leastBound(places: readonly Place[]): Place {
  return places.reduce((least, place) =>
    place.bound < least.bound || (place.bound === least.bound && place.node < least.node) ? place : least,
  );
}

function held({ bound, loose }: Place): number {
  return bound + loose.length;
}
