import { PerformanceObserver, constants, type PerformanceEntry } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";

/** How full the process's heap is. */
export interface HeapGauge {
  /** Whether what lives in the heap leaves too little room for more work. */
  isFull(): boolean;
  /** The same within one turn, in which no news of a collection comes: what is not collected yet counts as in use. */
  isFullNow(): boolean;
  /** The heap's limit in bytes. */
  readonly limitBytes: number;
  stop(): void;
}

/** The share of the heap for data that has survived a collection. The rest is for work in flight, and for a take-over. */
const MOST_LIVE = 0.7;
/** Garbage included. V8 collects before its limit; this close to it there is not much garbage. */
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

/** A heap without an end, for tests of everything else. */
export const endlessHeap: HeapGauge = {
  isFull: () => false,
  isFullNow: () => false,
  limitBytes: Number.POSITIVE_INFINITY,
  stop: () => undefined,
};
