/** Answers the bench over IPC: "usage" with CPU seconds and memory, "stop" by stopping. */
export function serveUsage(stop: () => Promise<unknown>): void {
  process.on("message", (message) => {
    if (message === "usage") {
      const { user, system } = process.cpuUsage();
      globalThis.gc?.();
      process.send?.({
        cpuUs: user + system,
        rssBytes: process.memoryUsage.rss(),
        heapBytes: heapOf(process.memoryUsage()),
      });
    }
    if (message === "stop") void stop().then(() => process.exit(0));
  });
  process.on("disconnect", () => process.exit(0));
}

/** What the process's own objects take: the heap, and buffers beside it. */
function heapOf({ heapUsed, external }: NodeJS.MemoryUsage): number {
  return heapUsed + external;
}
