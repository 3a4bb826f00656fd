import { isErgonError } from "../base/errors.ts";
import type { Names } from "../wire/subjects.ts";
import type { NamespaceShape } from "./buckets.ts";
import { createNatsBus } from "./bus.ts";
import { isMessageMissing, isStreamMissing } from "./errors.ts";
import type { NatsLink } from "./link.ts";
import { probeBucket } from "./probe.ts";

/** The subjects to which a user may publish or subscribe. A user without `allow` may use all subjects except those of `deny`. */
export interface Permission {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

export interface BucketFacts {
  readonly name: string;
  readonly replicas: number;
  readonly leader: string | undefined;
  /** The number of up-to-date copies, including the leader's. */
  readonly current: number;
  readonly records: number;
  readonly bytes: number;
  /** The reason why the bucket refuses a small write. It is absent if the bucket takes one. */
  readonly refusesWrites?: string | undefined;
}

/** The facts about NATS on which Ergon's guarantees depend. */
export interface NatsFacts {
  readonly server: { readonly name: string; readonly version: string; readonly cluster: string | undefined };
  readonly maxPayload: number;
  readonly roundTripMs: number;
  /** The milliseconds by which this machine's clock is ahead of the server's, or `undefined` if the server does not give its time. */
  readonly clockAheadMs: number | undefined;
  readonly user: { readonly name: string; readonly account: string } | undefined;
  /** The permissions of the user, or `undefined` if the user may not ask for them. */
  readonly permissions: { readonly publish: Permission; readonly subscribe: Permission } | undefined;
  /** The limits of the account. -1 means no limit. */
  readonly storage: { readonly used: number; readonly limit: number };
  /** The namespace's settings, or `undefined` if the namespace does not exist. */
  readonly shape: NamespaceShape | undefined;
  /** The existing buckets. */
  readonly buckets: readonly BucketFacts[];
}

interface UserInfo {
  readonly server: { readonly time?: string };
  readonly data?: {
    readonly user?: string;
    readonly account?: string;
    readonly permissions?: { readonly publish?: Permission; readonly subscribe?: Permission };
  };
}

interface StreamInfo {
  readonly config: { readonly num_replicas: number };
  readonly state: { readonly messages: number; readonly bytes: number };
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { readonly current: boolean; readonly offline?: boolean }[];
  };
}

const TIMEOUT_MS = 2_000;
const STREAM_TIMEOUT_MS = 4_000;

/** The answer of JetStream, or the fact that it gave none. */
async function answered<T>(asked: Promise<T>): Promise<T | "silent"> {
  try {
    return await asked;
  } catch (error) {
    if (isErgonError(error) && error.code === "STORE_UNAVAILABLE") return "silent";
    throw error;
  }
}

/** Asks the server about itself, the user, and the namespace's buckets. It creates nothing. Throws like the JetStream API. */
export async function inspectNats(link: NatsLink, names: Names): Promise<NatsFacts> {
  const { api, clock, connection } = link;
  const info = connection.info;
  const begin = clock.monotonic();
  const user = await readUser(link);
  const roundTripMs = clock.monotonic() - begin;
  const serverTime = user?.server.time === undefined ? undefined : Date.parse(user.server.time);
  const account = await api.demand<{ storage: number; limits: { max_storage: number } }>("INFO");
  const shape = await readShape(link, names);
  const bucketNames = [
    names.leaseBucket,
    ...Array.from({ length: shape?.buckets ?? 0 }, (_, bucket) => names.recordBucket(bucket)),
  ];
  const buckets = await Promise.all(bucketNames.map((bucket) => readBucket(link, bucket)));
  return {
    server: { name: info?.server_name ?? "", version: info?.version ?? "", cluster: info?.cluster },
    maxPayload: info?.max_payload ?? 0,
    roundTripMs,
    clockAheadMs: serverTime === undefined ? undefined : clock.now() - roundTripMs / 2 - serverTime,
    user: user?.data === undefined ? undefined : { name: user.data.user ?? "", account: user.data.account ?? "" },
    permissions:
      user?.data === undefined
        ? undefined
        : { publish: user.data.permissions?.publish ?? {}, subscribe: user.data.permissions?.subscribe ?? {} },
    storage: { used: account.storage, limit: account.limits.max_storage },
    shape,
    buckets: buckets.filter((bucket) => bucket !== undefined),
  };
}

async function readUser(link: NatsLink): Promise<UserInfo | undefined> {
  try {
    const { data } = await createNatsBus(link).request("$SYS.REQ.USER.INFO", new Uint8Array(), {
      timeoutMs: TIMEOUT_MS,
    });
    return JSON.parse(Buffer.from(data).toString("utf8")) as UserInfo;
  } catch {
    // A user may lack the permission to ask. The result then has fewer facts.
    return undefined;
  }
}

async function readShape({ api }: NatsLink, names: Names): Promise<NamespaceShape | undefined> {
  const key = `$KV.${names.leaseBucket}.${names.configurationKey}`;
  const answer = await answered(
    api.ask<{ readonly message: { readonly data?: string } }>(
      `STREAM.MSG.GET.KV_${names.leaseBucket}`,
      { last_by_subj: key },
      STREAM_TIMEOUT_MS,
    ),
  );
  if (answer === "silent") return undefined;
  if (answer.ok)
    return JSON.parse(Buffer.from(answer.value.message.data ?? "", "base64").toString("utf8")) as NamespaceShape;
  if (isStreamMissing(answer.error) || isMessageMissing(answer.error)) return undefined;
  await api.demand(`STREAM.INFO.KV_${names.leaseBucket}`);
  return undefined;
}

/** Inspects a bucket and writes to it, because only a write shows a full disk or a lost quorum. */
async function readBucket(link: NatsLink, bucket: string): Promise<BucketFacts | undefined> {
  const facts = await readStream(link, bucket);
  if (facts === undefined || facts.current === 0) return facts;
  const probe = await probeBucket(link, `$KV.${bucket}.scratch`);
  const isRefused = probe.kind === "unknown" || (probe.kind === "refused" && probe.code !== "NOT_PERMITTED");
  return isRefused ? { ...facts, refusesWrites: probe.message } : facts;
}

async function readStream({ api }: NatsLink, name: string): Promise<BucketFacts | undefined> {
  const answer = await answered(api.ask<StreamInfo>(`STREAM.INFO.KV_${name}`, undefined, STREAM_TIMEOUT_MS));
  // A stream without a quorum gives no answer.
  if (answer === "silent") return { name, replicas: 1, leader: undefined, current: 0, records: 0, bytes: 0 };
  if (!answer.ok) return undefined;
  const { config, state, cluster } = answer.value;
  const followers = cluster?.replicas ?? [];
  const isLed = cluster === undefined || cluster.leader !== undefined;
  return {
    name,
    replicas: config.num_replicas,
    leader: cluster?.leader,
    current: (isLed ? 1 : 0) + followers.filter((replica) => replica.current && replica.offline !== true).length,
    records: state.messages,
    bytes: state.bytes,
  };
}
