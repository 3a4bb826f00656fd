import { begin, encodeRecord, shardOf, step, taskMachine, type RecordStore } from "@ergon/core/engine";
import { openNats } from "@ergon/core/nats";

import type { Load } from "./load.ts";
import type { Stage, Worker } from "./stage.ts";

export interface Scale {
  readonly parkedBytesInNode: number;
  readonly parkedBytesInServer: number;
  /** From the kill of one of two nodes until the survivor serves the last of its shards. */
  readonly takeOverMs: number;
  readonly live: number;
  readonly retained: number;
}

/** Memory of tasks that wait, and the take-over of half the shards with many live and many more retained tasks. */
export async function measureScale(
  stage: Stage,
  load: Load,
  survivor: Worker,
  live: number,
  retained: number,
): Promise<Scale> {
  const before = await survivor.usage();
  const serverBefore = stage.servers();
  for (let left = live; left > 0; left -= 1_000) await load.batch(Math.min(1_000, left), { delay: "1h" });
  const after = await survivor.usage();
  const serverAfter = stage.servers();

  const { records } = await openNats(load.link, { namespace: "default", replicas: stage.setting.replicas });
  await writeRetained(records, retained);
  let victim: Worker | undefined;
  const half = records.shards / 2;
  await timeOfOwners(load, half, async () => {
    victim = await stage.node();
  });
  const takeOverMs = await timeOfOwners(load, half, async () => victim?.kill());
  return {
    parkedBytesInNode: (after.heapBytes - before.heapBytes) / live,
    parkedBytesInServer: (serverAfter.rssBytes - serverBefore.rssBytes) / live,
    takeOverMs,
    live,
    retained,
  };
}

/** Milliseconds from `cause` until so many shards have told of a new owner. */
async function timeOfOwners({ bus, names }: Load, shards: number, cause: () => Promise<void>): Promise<number> {
  const done = Promise.withResolvers<number>();
  let start = performance.now();
  let owned = 0;
  const listening = bus.subscribe(names.ownedAll, () => {
    if (++owned === shards) done.resolve(performance.now() - start);
  });
  await bus.flush();
  start = performance.now();
  await cause();
  const ms = await done.promise;
  listening.unsubscribe();
  return ms;
}

/** Ended tasks as the nodes would have left them, under the present fences: as fast as the server takes them. */
async function writeRetained(records: RecordStore, count: number): Promise<void> {
  const spec = { id: "retained", driver: "bench", payload: Buffer.alloc(100, "a") };
  const at = Date.now();
  const started = begin(taskMachine, { spec, at, chance: 0, agent: "bench" }, at);
  const event = { type: "succeeded", attempt: 1, response: spec.payload, at, chance: 0 };
  const { state } = step(taskMachine, started.state, event);
  const data = encodeRecord(taskMachine, state);
  const fences = await Promise.all(
    Array.from({ length: records.shards }, async (_, shard) => (await records.owner(shard)).fence),
  );
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const writes = Array.from({ length: Math.min(records.oneInFlight ? records.maxWrites : 1, count - next) }, () => {
        const id = `retained${next++}`;
        const shard = shardOf(id, records.shards);
        return { shard, id, data, fence: fences[shard] ?? 0, ttlMs: 3_600_000 };
      });
      const result = await records.commit(writes);
      if (result.kind !== "committed") throw new Error(`a retained record was ${result.kind}`);
    }
  };
  await Promise.all(Array.from({ length: records.oneInFlight ? 1 : 512 }, lane));
}
