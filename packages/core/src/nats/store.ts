import type { Fence, LoadRange, Ownership, RecordStore, Watch } from "../ports/store.ts";
import type { Namespace } from "./buckets.ts";
import { measureCommits } from "./commit-mode.ts";
import type { CommitMode } from "./commit-mode.ts";
import { Committer, MAX_WRITES } from "./commit.ts";
import { apiFailure, isFenced, unreachable } from "./errors.ts";
import type { Keys } from "./keys.ts";
import type { NatsLink } from "./link.ts";
import { loadRanges, readDirect } from "./load.ts";
import { probeBucket } from "./probe.ts";
import { watchKeys } from "./watch.ts";

/** The number of single writes that a server with a sync per write stores in the time of one batch (2 to 4 ms). */
const FEW_SINGLES = 8;
const NOTHING = new Uint8Array(0);

/** The records of a namespace, in JetStream. */
export async function createNatsRecords(
  link: NatsLink,
  { shape, leases, records }: Namespace,
  bucketNames: readonly string[],
  mode: CommitMode,
): Promise<RecordStore> {
  const { shards, buckets, replicas } = shape;
  const oneInFlight = await isOneInFlight(link, records, mode);
  const committers = bucketNames.map((name) => new Committer(link, name, replicas > 1));
  /** The newest fence of each shard that this process has seen. */
  const fences = new Map<number, Fence>();
  const bucketOf = (shard: number): number => shard % buckets;
  const keysOf = (shard: number): Keys => records[bucketOf(shard)] as Keys;

  const learn = (shard: number, fence: Fence): void => {
    if (fence > (fences.get(shard) ?? 0)) fences.set(shard, fence);
  };
  const ownershipOf = (shard: number, data: Uint8Array, fence: Fence): Ownership => {
    learn(shard, fence);
    return { shard, session: data.length === 0 ? undefined : Buffer.from(data).toString("utf8"), fence };
  };

  const read: RecordStore["read"] = async (shard, id) => {
    const keys = keysOf(shard);
    if (link.status !== "connected") throw unreachable();
    if (keys.replicas === 1) return readDirect(link, keys, shard, id);
    const entry = await keys.read(`${shard}.${id}`);
    return entry === undefined || entry.gone ? undefined : { id, data: entry.data, revision: entry.revision };
  };

  const owner: RecordStore["owner"] = async (shard) => {
    const entry = await keysOf(shard).read(`owner.${shard}`);
    return ownershipOf(shard, entry?.data ?? NOTHING, entry?.revision ?? 0);
  };

  return {
    shards,
    buckets,
    oneInFlight,
    fewSingles: replicas > 1 ? 1 : FEW_SINGLES,
    maxWrites: MAX_WRITES,
    bucketOf,
    claim: async (shard, session, expected) => {
      const data = session === undefined ? NOTHING : Buffer.from(session);
      const result = await keysOf(shard).swap(`owner.${shard}`, data, expected);
      if (result.ok) {
        learn(shard, result.revision);
        return { kind: "claimed", fence: result.revision };
      }
      if (isFenced(result.error)) return { kind: "lost" };
      throw apiFailure(`claim of shard ${shard}`, result.error);
    },
    owner,
    watchOwners: async (handler) => {
      const watches: Watch[] = [];
      for (const keys of records) {
        const source = { stream: keys.stream, filter: keys.subject("owner.*"), prefix: keys.subject("owner.") };
        watches.push(
          await watchKeys(link, source, ({ key, data, revision }) => handler(ownershipOf(Number(key), data, revision))),
        );
      }
      return {
        stop: () => {
          for (const watch of watches) watch.stop();
        },
      };
    },
    commit: (writes) => {
      const bucket = bucketOf(writes[0]?.shard ?? 0);
      if (buckets > 1 && writes.some((write) => bucketOf(write.shard) !== bucket)) {
        const message = "a commit takes writes of one bucket";
        return Promise.resolve({ kind: "refused", code: "STORE_UNAVAILABLE", message });
      }
      return (committers[bucket] as Committer).commit(writes);
    },
    read,
    probe: (bucket) => probeBucket(link, (records[bucket] as Keys).subject("scratch")),
    load: async (ranges, visit) => {
      const byBucket = Map.groupBy(ranges, (range) => bucketOf(range.shard));
      const covered: number[] = [];
      for (const [bucket, part] of byBucket) {
        // Replicas may lag, and only the newest fence shows the progress of a replica.
        const unknown = replicas > 1 ? part.filter(({ shard }) => !fences.has(shard)) : [];
        await Promise.all(unknown.map(({ shard }) => owner(shard)));
        const loader = {
          link,
          keys: records[bucket] as Keys,
          read,
          fenceOf: (shard: number) => fences.get(shard) ?? 0,
          shards: Math.ceil(shape.shards / shape.buckets),
        };
        covered.push(await loadRanges(loader, part as LoadRange[], visit));
      }
      return covered.length === 0 ? 0 : Math.min(...covered);
    },
    time: async () => {
      const info = await link.api.demand<{ readonly ts: string }>(`STREAM.INFO.${leases.stream}`);
      return Date.parse(info.ts);
    },
  };
}

async function isOneInFlight(link: NatsLink, records: readonly Keys[], mode: CommitMode): Promise<boolean> {
  const [keys] = records;
  if (keys === undefined || keys.replicas > 1) return true;
  if (mode !== "auto") return mode === "grouped";
  return (await measureCommits(link, keys)) === "grouped";
}
