import type { Profiler } from "node:inspector";

import type { Frame, Sample } from "./sample.ts";

/** The samples of a profile that V8 has written, without the time in which the process had nothing to do. */
export function samplesOfNode(profile: Profiler.Profile): readonly Sample[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  const spent = new Map<number, number>();
  const deltas = profile.timeDeltas ?? [];
  for (const [index, id] of (profile.samples ?? []).entries())
    // A delta is the time since the sample before, so it belongs to that one.
    spent.set(id, (spent.get(id) ?? 0) + (deltas[index + 1] ?? 0));
  return [...spent].map(([id, us]) => ({ us, stack: stackOf(id) })).filter(({ stack }) => stack[0]?.name !== "(idle)");

  function stackOf(id: number): readonly Frame[] {
    const stack: Frame[] = [];
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const call = nodes.get(at)?.callFrame;
      if (call !== undefined && call.functionName !== "(root)")
        stack.push({ name: call.functionName || "(anonymous)", file: call.url });
    }
    return stack;
  }
}
