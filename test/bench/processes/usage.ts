import { Session } from "node:inspector/promises";
import v8 from "node:v8";

/** Profiles are finer than V8's millisecond, since a task takes its node about a tenth of one. */
const SAMPLING_US = 200;
const SAMPLING_BYTES = 4_096;

/** Answers the bench over IPC: "usage" with CPU and memory, "profile" and "profiled" with a CPU profile of the time between them, "heap" and "heaped" with a profile of the allocations, "stop" by stopping. */
export function serveUsage(stop: () => Promise<unknown>): void {
  const allocations = new Allocations();
  const inspector = new Session();
  process.on("message", (message) => {
    if (message === "usage") {
      const { user, system } = process.cpuUsage();
      globalThis.gc?.();
      process.send?.({
        cpuUs: user + system,
        rssBytes: process.memoryUsage.rss(),
        heapBytes: heapOf(process.memoryUsage()),
        allocatedBytes: allocations.total(),
      });
    }
    if (message === "profile") void profileTime(inspector).then(() => process.send?.({}));
    if (message === "profiled") void inspector.post("Profiler.stop").then(({ profile }) => process.send?.(profile));
    if (message === "heap") void profileAllocations(inspector).then(() => process.send?.({}));
    if (message === "heaped")
      void inspector.post("HeapProfiler.stopSampling").then(({ profile }) => process.send?.(profile));
    if (message === "stop") void stop().then(() => process.exit(0));
  });
  process.on("disconnect", () => process.exit(0));
}

async function profileTime(inspector: Session): Promise<void> {
  inspector.connect();
  await inspector.post("Profiler.enable");
  await inspector.post("Profiler.setSamplingInterval", { interval: SAMPLING_US });
  await inspector.post("Profiler.start");
}

/** Objects that a collection has removed are counted, too: V8 leaves these out unless it is asked. */
async function profileAllocations(inspector: Session): Promise<void> {
  inspector.connect();
  await inspector.post("HeapProfiler.startSampling", {
    samplingInterval: SAMPLING_BYTES,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
}

/** What the process's own objects take: the heap, and buffers beside it. */
function heapOf({ heapUsed, external }: NodeJS.MemoryUsage): number {
  return heapUsed + external;
}

/** Counts what is allocated on the heap: between two collections it has grown by just that. */
class Allocations {
  #profiler = started();
  #total = 0;
  #used = process.memoryUsage().heapUsed;

  total(): number {
    for (const { beforeGC, afterGC } of this.#profiler.stop()?.statistics ?? []) {
      this.#total += beforeGC.heapStatistics.usedHeapSize - this.#used;
      this.#used = afterGC.heapStatistics.usedHeapSize;
    }
    this.#profiler = started();
    return this.#total;
  }
}

function started(): v8.GCProfiler {
  const profiler = new v8.GCProfiler();
  profiler.start();
  return profiler;
}
