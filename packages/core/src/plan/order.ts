/** The steps for which each step waits, by id. */
export type Dependencies = ReadonlyMap<string, readonly string[]>;

/** Finds a cycle in the dependencies and returns it with its first step repeated at the end, or `undefined` if there is none. */
export function findCycle(dependencies: Dependencies): string[] | undefined {
  const sorted = new Set(sortedByDependencies(dependencies));
  const start = [...dependencies.keys()].find((id) => !sorted.has(id));
  if (start === undefined) return undefined;
  // Every unsorted step waits for another unsorted step, so following these steps leads into a cycle.
  const way: string[] = [];
  let at = start;
  while (!way.includes(at)) {
    way.push(at);
    at = dependencies.get(at)?.find((id) => dependencies.has(id) && !sorted.has(id)) ?? at;
  }
  return [...way.slice(way.indexOf(at)), at];
}

/** Returns the steps in an order in which each follows the steps that it waits for, and otherwise in their own order. The result omits the steps of a cycle. */
export function sortedByDependencies(dependencies: Dependencies): string[] {
  const dependents = new Map<string, string[]>();
  const open = new Map<string, number>();
  for (const [id, needed] of dependencies) {
    const inside = new Set(needed.filter((one) => dependencies.has(one)));
    open.set(id, inside.size);
    for (const one of inside) {
      const waiting = dependents.get(one);
      if (waiting === undefined) dependents.set(one, [id]);
      else waiting.push(id);
    }
  }
  const sorted = [...open].filter(([, count]) => count === 0).map(([id]) => id);
  // The list grows while it is walked.
  for (const id of sorted) {
    for (const dependent of dependents.get(id) ?? []) {
      const left = (open.get(dependent) ?? 0) - 1;
      open.set(dependent, left);
      if (left === 0) sorted.push(dependent);
    }
  }
  return sorted;
}
