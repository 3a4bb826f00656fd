import { describeSchedule, type Client, type ScheduleSpec, type ScheduleView } from "@ergon/core";

import { createMemoryCluster, type MemoryCluster, type MemoryClusterOptions } from "./memory-cluster.ts";

/** Every run ends by itself, or waits until the test lets it. */
export interface ScheduleStage {
  readonly cluster: MemoryCluster;
  readonly client: Client;
  /** Ids of tasks, in the order in which they were begun; an attempt that was repeated is there twice. */
  readonly begun: string[];
  /** When each was begun first, by the cluster's clock. */
  readonly begunAt: ReadonlyMap<string, number>;
  /** Lets the oldest run that waits end. */
  readonly release: () => void;
  readonly add: (spec: Partial<ScheduleSpec>, id?: string) => Promise<void>;
  readonly show: (id?: string) => Promise<ScheduleView>;
}

export async function createScheduleStage({
  waits = false,
  ...options
}: MemoryClusterOptions & { waits?: boolean } = {}): Promise<ScheduleStage> {
  const cluster = createMemoryCluster(options);
  await cluster.addNodes("n1", "n2");
  const begun: string[] = [];
  const begunAt = new Map<string, number>();
  const waiting: (() => void)[] = [];
  await cluster.addAgent("a1", {
    driver: "report",
    concurrency: 200,
    handler: async ({ taskId, signal }) => {
      begun.push(taskId);
      if (!begunAt.has(taskId)) begunAt.set(taskId, cluster.clock.now());
      if (!waits) return;
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        signal.addEventListener("abort", () => resolve());
      });
    },
  });
  const client = cluster.client();
  return {
    cluster,
    client,
    begun,
    begunAt,
    release: () => waiting.shift()?.(),
    add: async (spec, id = "s") => {
      const full = {
        every: "1m",
        start: "2026-01-01T00:01:00Z",
        task: { driver: "report", attemptTimeout: "1h" },
        ...spec,
      };
      await cluster.drive(client.start("schedule", full, { id }));
    },
    show: async (id = "s") => describeSchedule(await cluster.drive(client.instance(id).get()), 5),
  };
}

/** The ids of the runs that are due so many minutes after the beginning. */
export const stamps = (minutes: readonly number[], id = "s"): string[] =>
  minutes.map(
    (minute) =>
      `${id}=20260101T${String(Math.floor(minute / 60)).padStart(2, "0")}${String(minute % 60).padStart(2, "0")}00Z`,
  );
/** The cluster's time begins with the year. */
export const until = (cluster: MemoryCluster, ms: number): Promise<void> =>
  cluster.clock.advance(ms - cluster.clock.monotonic());
