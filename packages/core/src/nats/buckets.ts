import { ErgonError } from "../base/errors.ts";
import type { Names } from "../wire/subjects.ts";
import type { Api } from "./api.ts";
import { apiFailure, isNameInUse, isStreamMissing } from "./errors.ts";
import { createKeys } from "./keys.ts";
import type { Keys } from "./keys.ts";
import type { NatsLink } from "./link.ts";
import { requireJetStream } from "./server-check.ts";

/** The settings of a namespace, which stay fixed after its creation. */
export interface NamespaceShape {
  readonly shards: number;
  readonly buckets: number;
  /** The number of copies of every record. It is 1, 3 or 5. */
  readonly replicas: number;
}

export const defaultShape: NamespaceShape = { shards: 64, buckets: 1, replicas: 1 };

/** The time for which the server keeps the end of a lease, for watchers that were disconnected. */
const MARKER_SECONDS = 60;
/**
 * The time for which an expired record leaves a marker. A server that is killed restores from its files all messages that it has removed since it
 * last wrote its index (every two minutes). Without the marker, the revision before the last would then be the newest, and it shows a live task.
 */
const RECORD_MARKER_SECONDS = 300;
const NANOS = 1_000_000_000;

interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly num_replicas: number;
  readonly allow_msg_ttl?: boolean;
  readonly allow_atomic?: boolean;
  readonly max_msgs_per_subject: number;
  readonly [setting: string]: unknown;
}

export interface Namespace {
  readonly shape: NamespaceShape;
  readonly leases: Keys;
  readonly records: readonly Keys[];
}

/**
 * Opens the buckets of a namespace, and creates the missing ones. The first process to open a namespace decides its settings; later ones get these
 * settings, and log a warning when they asked for others. Throws `SERVER_UNSUITABLE` or `NOT_PERMITTED` when JetStream is not available to the user.
 */
export async function openNamespace(link: NatsLink, names: Names, wanted: NamespaceShape): Promise<Namespace> {
  await requireJetStream(link);
  const leaseStream = await ensureBucket(link.api, names.leaseBucket, wanted.replicas, {
    subject_delete_marker_ttl: MARKER_SECONDS * NANOS,
  });
  const leases = createKeys(link, names.leaseBucket, leaseStream.num_replicas);
  const shape = await agreeOnShape(leases, names.configurationKey, wanted);
  const differences = (["shards", "buckets", "replicas"] as const).filter((key) => shape[key] !== wanted[key]);
  if (differences.length > 0) {
    link.logger.warn(
      { namespace: names.namespace, stands: shape, asked: wanted },
      "the settings differ from the shape of the existing namespace; its shape is used",
    );
  }
  const records: Keys[] = [];
  for (let bucket = 0; bucket < shape.buckets; bucket++) {
    const name = names.recordBucket(bucket);
    const stream = await ensureBucket(link.api, name, shape.replicas, {
      subject_delete_marker_ttl: RECORD_MARKER_SECONDS * NANOS,
    });
    records.push(createKeys(link, name, stream.num_replicas));
  }
  return { shape, leases, records };
}

async function agreeOnShape(leases: Keys, key: string, wanted: NamespaceShape): Promise<NamespaceShape> {
  const standing = await leases.create(key, Buffer.from(JSON.stringify({ version: 1, ...wanted })));
  const shape = JSON.parse(Buffer.from(standing.data).toString("utf8")) as NamespaceShape & {
    readonly version: number;
  };
  if (shape.version !== 1) {
    throw new ErgonError(
      "terminal",
      "SERVER_UNSUITABLE",
      `the namespace was created by a newer Ergon (its configuration has version ${shape.version}): upgrade this one`,
    );
  }
  return { shards: shape.shards, buckets: shape.buckets, replicas: shape.replicas };
}

/** Describes a key-value bucket as the NATS command line would create it, with time to live per key and atomic batches added. */
function bucketConfig(bucket: string, replicas: number, extra: Readonly<Record<string, unknown>>): StreamConfig {
  return {
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    storage: "file",
    retention: "limits",
    num_replicas: replicas,
    max_msgs_per_subject: 1,
    discard: "new",
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    allow_msg_ttl: true,
    allow_atomic: true,
    ...extra,
  };
}

async function ensureBucket(
  api: Api,
  bucket: string,
  replicas: number,
  extra: Readonly<Record<string, unknown>>,
): Promise<StreamConfig> {
  const wanted = bucketConfig(bucket, replicas, extra);
  const info = await api.ask<{ readonly config: StreamConfig }>(`STREAM.INFO.${wanted.name}`);
  if (info.ok) return requireSuitable(info.value.config, wanted);
  if (!isStreamMissing(info.error)) return requireSuitable((await demandInfo(api, wanted.name)).config, wanted);

  const created = await api.ask<{ readonly config: StreamConfig }>(`STREAM.CREATE.${wanted.name}`, wanted);
  if (created.ok) return created.value.config;
  // Another process has created the bucket first, with other settings.
  if (isNameInUse(created.error)) return requireSuitable((await demandInfo(api, wanted.name)).config, wanted);
  throw apiFailure(`creating the bucket ${bucket}`, created.error);
}

function demandInfo(api: Api, stream: string): Promise<{ readonly config: StreamConfig }> {
  return api.demand(`STREAM.INFO.${stream}`);
}

function requireSuitable(config: StreamConfig, wanted: StreamConfig): StreamConfig {
  const isSuitable =
    config.allow_msg_ttl === true &&
    config.allow_atomic === true &&
    config.max_msgs_per_subject === 1 &&
    config.subjects.join() === wanted.subjects.join();
  if (isSuitable) return config;
  throw new ErgonError(
    "terminal",
    "SERVER_UNSUITABLE",
    `the stream ${config.name} exists and is not one of Ergon's: choose another namespace, or remove it`,
  );
}
