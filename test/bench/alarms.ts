import { connectNats, openNats } from "@ergon/core/nats";

import type { Setting } from "./stage.ts";

const DATA = Buffer.alloc(100, "a");
const LANES = 1_000;
/** From the first that is set until they are due: time enough to set one. */
const EACH_MS = 0.8;

export interface AlarmTimes {
  readonly setPerSecond: number;
  /** Of each alarm, from its time until its handler has it; in the order in which they came. */
  readonly latenessMs: number[];
}

/** So many alarms set, then all due in the same millisecond, for one listener. */
export async function measureAlarms(urls: string, setting: Setting, count: number): Promise<AlarmTimes> {
  const open = async () =>
    openNats(await connectNats({ servers: urls, name: "bench-alarms" }), {
      namespace: "alarms",
      replicas: setting.replicas,
    });
  const [setter, listener] = [await open(), await open()];
  await setter.alarms.cancel("nothing");
  const dueAt = (await setter.records.time()) + 1_000 + count * EACH_MS;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await setter.alarms.set(`k${next++}`, dueAt, DATA);
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: LANES }, lane));
  const setMs = performance.now() - start;

  const latenessMs: number[] = [];
  const { promise: all, resolve } = Promise.withResolvers<void>();
  const watch = await listener.alarms.listen(async () => {
    latenessMs.push(Date.now() - dueAt);
    if (latenessMs.length === count) resolve();
  });
  await all;
  watch.stop();
  for (const ports of [setter, listener]) await ports.close();
  return { setPerSecond: (count / setMs) * 1_000, latenessMs };
}
