import { InvalidError } from "../base/errors.ts";
import type { Bus } from "../ports/bus.ts";
import type { Ports } from "../ports/ports.ts";
import { createNames } from "../wire/subjects.ts";
import { defaultShape, openNamespace } from "./buckets.ts";
import type { NamespaceShape } from "./buckets.ts";
import { createNatsBus } from "./bus.ts";
import type { CommitMode } from "./commit-mode.ts";
import { connectNats } from "./connection.ts";
import type { NatsSurroundings } from "./connection.ts";
import { inspectNats } from "./inspect.ts";
import type { BucketFacts, NatsFacts, Permission } from "./inspect.ts";
import { createNatsLeases } from "./lease.ts";
import type { NatsLink } from "./link.ts";
import type { NatsOptions } from "./options.ts";
import type { Placement } from "./placement.ts";
import { createNatsRecords } from "./store.ts";

export interface NamespaceOptions extends Partial<NamespaceShape> {
  readonly namespace: string;
  /** The first part of every subject and bucket name. @defaultValue `ergon` */
  readonly prefix?: string;
  /** @defaultValue `auto` */
  readonly commitMode?: CommitMode;
}

/** The ports of a namespace over NATS. */
export interface NatsPorts extends Ports {
  readonly shape: NamespaceShape;
}

/**
 * Opens a namespace on a connection, and creates it if it is new. The options then set its shards, buckets and replicas permanently. `close` drains
 * the connection.
 */
export async function openNats(link: NatsLink, options: NamespaceOptions): Promise<NatsPorts> {
  const names = createNames(options.namespace, options.prefix);
  const namespace = await openNamespace(link, names, resolveShape(options));
  const bucketNames = namespace.records.map((_, bucket) => names.recordBucket(bucket));
  return {
    shape: namespace.shape,
    bus: createNatsBus(link),
    records: await createNatsRecords(link, namespace, bucketNames, options.commitMode ?? "auto"),
    leases: createNatsLeases(link, namespace.leases),
    close: () => link.drain(),
  };
}

function resolveShape(options: NamespaceOptions): NamespaceShape {
  const { shards, buckets, replicas } = { ...defaultShape, ...options };
  requireCount("shards", shards, 1, 4_096);
  requireCount("buckets", buckets, 1, shards);
  if (![1, 3, 5].includes(replicas)) throw new InvalidError("INVALID_OPTION", `replicas is ${replicas}; use 1, 3 or 5`);
  return { shards, buckets, replicas };
}

function requireCount(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new InvalidError("INVALID_OPTION", `${name} is ${value}; use a whole number from ${least} to ${most}`);
}

export { connectNats, createNatsBus, inspectNats };
export type {
  BucketFacts,
  Bus,
  CommitMode,
  NatsFacts,
  Permission,
  NamespaceShape,
  NatsLink,
  NatsOptions,
  NatsSurroundings,
  Placement,
};
