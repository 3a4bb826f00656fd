import { createNames, type Fence } from "@ergon/core/engine";
import { connectNats, openNats } from "@ergon/core/nats";

import type { Setting } from "./stage.ts";

const RECORD = Buffer.alloc(400, "r");

export interface Floor {
  /** Pairs of a create and an update of one key, under a fence, as a task's two writes are; no node, no agent. */
  readonly pairsPerSecond: number;
  /** Requests and replies, both ends in this process. */
  readonly requestsPerSecond: number;
}

/** What the server and the wire alone can do, in the same run: the ratio to it is what the engine costs. */
export async function measureFloor(urls: string, setting: Setting, count: number): Promise<Floor> {
  const link = await connectNats({ servers: urls, name: "bench-floor" });
  const { records, bus } = await openNats(link, { namespace: "floor", replicas: setting.replicas });
  const owner = await records.owner(0);
  const claim = await records.claim(0, "bench", owner.fence);
  if (claim.kind !== "claimed") throw new Error("the floor's shard could not be claimed");
  const perCommit = records.oneInFlight ? records.maxWrites : 1;
  const lanes = records.oneInFlight ? 1 : 1_024;

  let next = 0;
  const write = async (ids: readonly string[], fence: Fence, ttlMs?: number): Promise<void> => {
    const result = await records.commit(ids.map((id) => ({ shard: 0, id, data: RECORD, fence, ttlMs })));
    if (result.kind !== "committed") throw new Error(`a commit was ${result.kind}`);
  };
  const lane = async (): Promise<void> => {
    while (next < count) {
      const ids = Array.from({ length: Math.min(perCommit, count - next) }, () => `k${next++}`);
      await write(ids, claim.fence);
      await write(ids, claim.fence, 3_600_000);
    }
  };
  const pairsStart = performance.now();
  await Promise.all(Array.from({ length: lanes }, lane));
  const pairsMs = performance.now() - pairsStart;

  const subject = `${createNames("floor").root}.floor`;
  const answering = bus.subscribe(subject, ({ reply, data }) => {
    if (reply !== undefined) bus.publish(reply, data);
  });
  await bus.flush();
  let left = count;
  const ask = async (): Promise<void> => {
    while (left-- > 0) await bus.request(subject, RECORD, { timeoutMs: 30_000 });
  };
  const askStart = performance.now();
  await Promise.all(Array.from({ length: 256 }, ask));
  const askMs = performance.now() - askStart;
  answering.unsubscribe();
  await link.close();
  return { pairsPerSecond: (count / pairsMs) * 1_000, requestsPerSecond: (count / askMs) * 1_000 };
}
