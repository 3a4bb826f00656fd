import { PerformanceObserver, constants, type PerformanceEntry } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";

/** The use of the process's heap. */
export interface HeapGauge {
  /** Returns true if the live data leaves too little room for more work. */
  isFull(): boolean;
  /** Does the same within one turn, in which the gauge hears about no collection. Garbage counts as in use. */
  isFullNow(): boolean;
  /** The heap's limit in bytes. */
  readonly limitBytes: number;
  stop(): void;
}

/** The share of the heap for data that has survived a collection. Work in flight and take-overs need the rest. */
const MOST_LIVE = 0.7;
/** The limit with garbage included. V8 collects before it reaches its limit, so little garbage is left this close to it. */
const MOST_USED = 0.9;

/** The gauge of this process. */
export function createHeapGauge(): HeapGauge {
  const { heap_size_limit: limitBytes } = getHeapStatistics();
  const used = (): number => getHeapStatistics().used_heap_size / limitBytes;
  /** The size after the last collection of the whole heap. */
  let live = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries() as (PerformanceEntry & {
      readonly detail?: { readonly kind?: number };
    })[])
      if (detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR) live = used();
  });
  observer.observe({ entryTypes: ["gc"] });
  return {
    limitBytes,
    isFull: () => live > MOST_LIVE || used() > MOST_USED,
    isFullNow: () => used() > MOST_USED,
    stop: () => observer.disconnect(),
  };
}

/** A heap without a limit, for tests that do not concern the heap. */
export const endlessHeap: HeapGauge = {
  isFull: () => false,
  isFullNow: () => false,
  limitBytes: Number.POSITIVE_INFINITY,
  stop: () => undefined,
};
