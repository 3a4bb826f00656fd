/** Which steps each one waits for, by id. */
export type Dependencies = ReadonlyMap<string, readonly string[]>;

/** A circle in the dependencies, its first step again at the end; `undefined`: there is none. */
export function findCycle(dependencies: Dependencies): string[] | undefined {
  const sorted = new Set(sortedByDependencies(dependencies));
  const start = [...dependencies.keys()].find((id) => !sorted.has(id));
  if (start === undefined) return undefined;
  // Every step that could not be sorted waits for another such one: following these comes back to where it was.
  const way: string[] = [];
  let at = start;
  while (!way.includes(at)) {
    way.push(at);
    at = dependencies.get(at)?.find((id) => dependencies.has(id) && !sorted.has(id)) ?? at;
  }
  return [...way.slice(way.indexOf(at)), at];
}

/** The steps so that each comes after those that it waits for, else in their own order. Steps in a circle are left out. */
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
