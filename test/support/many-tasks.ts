import type { TaskView } from "@ergon/core";

import type { MemoryCluster } from "./memory-cluster.ts";

/** Submits tasks of the driver `work`, whose payloads are their numbers. Answers their ids. */
export async function submitAll(
  cluster: MemoryCluster,
  count: number,
  more: (index: number) => object = () => ({}),
): Promise<string[]> {
  const client = cluster.client({ timeoutMs: 600_000 });
  const handles = await cluster.drive(
    Promise.all(
      Array.from({ length: count }, (_, index) =>
        client.submit({ driver: "work", text: String(index), ...more(index) }),
      ),
    ),
  );
  return handles.map(({ id }) => id);
}

/** What each task is once it has ended. */
export async function endsOf(cluster: MemoryCluster, ids: readonly string[]): Promise<TaskView[]> {
  const client = cluster.client();
  return cluster.drive(Promise.all(ids.map((id) => client.wait(id))));
}

/** The different statuses of tasks. */
export const statusesOf = (views: readonly TaskView[]): string[] => [...new Set(views.map(({ status }) => status))];
