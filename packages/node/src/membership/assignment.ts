/**
 * Who should host which shard: counts differ by at most one, and no more shards move than that asks for. Every node computes the same answer from
 * the same view, so no leader is needed.
 *
 * `owners[n]` is the present owner of shard n, if any; owners that are not in `nodes` count as none. Answers the target owner of each shard
 * (`undefined` when there are no nodes).
 */
export function assign(nodes: readonly string[], owners: readonly (string | undefined)[]): (string | undefined)[] {
  if (nodes.length === 0) return owners.map(() => undefined);
  const held = new Map(nodes.toSorted().map((node) => [node, [] as number[]]));
  const free: number[] = [];
  for (const [shard, owner] of owners.entries()) {
    const shards = owner === undefined ? undefined : held.get(owner);
    if (shards === undefined) free.push(shard);
    else shards.push(shard);
  }
  const least = Math.floor(owners.length / nodes.length);
  let extras = owners.length % nodes.length;
  const target: (string | undefined)[] = owners.map(() => undefined);
  const room: { node: string; places: number }[] = [];
  // Those who hold most keep the odd ones.
  for (const [node, shards] of [...held].toSorted((a, b) => b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1))) {
    const quota = least + (extras > 0 ? 1 : 0);
    if (extras > 0) extras--;
    for (const shard of shards.slice(0, quota)) target[shard] = node;
    free.push(...shards.slice(quota));
    if (shards.length < quota) room.push({ node, places: quota - shards.length });
  }
  free.sort((a, b) => a - b);
  for (const { node, places } of room) for (const shard of free.splice(0, places)) target[shard] = node;
  return target;
}
