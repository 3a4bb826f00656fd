import type { HeapProfiler, Profiler, Runtime } from "node:inspector";

import type { Frame, Sample } from "./sample.ts";

const ROOT = "(root)";

/** The samples of a CPU profile of V8, without the time in which the process had nothing to do. */
export function timeSamples(profile: Profiler.Profile): readonly Sample[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  const spent = new Map<number, number>();
  const deltas = profile.timeDeltas ?? [];
  for (const [index, id] of (profile.samples ?? []).entries())
    // A delta is the time since the sample before, so it belongs to that one.
    spent.set(id, (spent.get(id) ?? 0) + (deltas[index + 1] ?? 0));
  return [...spent]
    .map(([id, weight]) => ({ weight, stack: stackOf(id) }))
    .filter(({ stack }) => stack[0]?.name !== "(idle)");

  function stackOf(id: number): readonly Frame[] {
    const stack: Frame[] = [];
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const call = nodes.get(at)?.callFrame;
      if (call !== undefined && call.functionName !== ROOT) stack.push(frameOf(call));
    }
    return stack;
  }
}

/** The samples of a profile of allocations of V8. */
export function allocationSamples({ head }: HeapProfiler.SamplingHeapProfile): readonly Sample[] {
  const samples: Sample[] = [];
  collect(head, []);
  return samples;

  function collect(
    { callFrame, selfSize, children }: HeapProfiler.SamplingHeapProfileNode,
    outer: readonly Frame[],
  ): void {
    const stack = callFrame.functionName === ROOT ? outer : [frameOf(callFrame), ...outer];
    if (selfSize > 0) samples.push({ weight: selfSize, stack });
    for (const child of children) collect(child, stack);
  }
}

function frameOf({ functionName, url }: Runtime.CallFrame): Frame {
  return { name: functionName || "(anonymous)", file: url };
}
