import { formatDuration, type AgentView, type NodeView, type ShardMap } from "@ergon/core";
import { type Names } from "@ergon/core/engine";
import type { NatsFacts, Permission } from "@ergon/core/nats";

import { waitingFor } from "./waiting.ts";

/** One check of doctor, with its effect on Ergon's promises. */
export interface Finding {
  readonly level: "good" | "note" | "bad";
  readonly topic: string;
  readonly text: string;
}

/** The time at which JetStream writes reach the disk. Only the server's monitoring port reports it. */
export type Sync = { readonly always: boolean; readonly intervalMs: number };

/** The cluster's report about itself, or `undefined` if no node answered. */
export interface ClusterFacts {
  readonly nodes: readonly NodeView[];
  readonly agents: readonly AgentView[];
  readonly map: ShardMap;
}

const good = (topic: string, text: string): Finding => ({ level: "good", topic, text });
const note = (topic: string, text: string): Finding => ({ level: "note", topic, text });
const bad = (topic: string, text: string): Finding => ({ level: "bad", topic, text });

const NO_NODE: Finding = bad("nodes", 'no node answers: nothing accepts or runs tasks. Start a node with "ergon node"');

/** A smaller difference between clocks has no meaning. */
const SMALL_OFFSET_MS = 1_000;
/** The most records that doctor names among those that were set aside. */
const NAMED = 3;
const DEFAULT_SYNC: Sync = { always: false, intervalMs: 120_000 };

/** Judges the facts, the server first. */
export function judge(
  facts: NatsFacts,
  names: Names,
  sync: Sync | undefined,
  cluster: ClusterFacts | undefined,
): readonly Finding[] {
  return [
    ...server(facts),
    durability(facts, sync),
    ...grouped(facts.buckets.map(replicas)),
    permissions(facts, names, subjectsOf(cluster)),
    clock(facts),
    namespace(facts, names, cluster !== undefined),
    ...(cluster === undefined ? [NO_NODE] : hosting(cluster)),
  ];
}

/** Judges the reports of nodes if JetStream does not answer. */
export function judgeWithout(reason: string, cluster: ClusterFacts | undefined): readonly Finding[] {
  const text = `does not answer: ${reason}. Too few of its servers run, or they are overloaded: see "nats server report jetstream"`;
  return [bad("jetstream", text), ...(cluster === undefined ? [NO_NODE] : hosting(cluster))];
}

function server({ server: { version, name, cluster }, roundTripMs, maxPayload, storage }: NatsFacts): Finding[] {
  const where = cluster === undefined ? "on its own" : `${name}, in cluster ${cluster}`;
  const limit = storage.limit < 0 ? "no limit" : bytes(storage.limit);
  const full = storage.limit >= 0 && storage.used >= storage.limit * 0.9;
  const stored = `${bytes(storage.used)} stored, ${limit} for the account`;
  return [
    good("server", `nats-server ${version}, ${where}; ${roundTripMs.toFixed(1)} ms away`),
    good("messages", `payloads and responses may have up to ${bytes(maxPayload)}, headers included (max_payload)`),
    full ? bad("storage", `${stored}: at the limit, nodes refuse new tasks with STORE_FULL`) : good("storage", stored),
  ];
}

function durability({ buckets }: NatsFacts, sync: Sync | undefined): Finding {
  const least = Math.min(...buckets.map((bucket) => bucket.replicas), 5);
  const single = least === 1 || buckets.length === 0;
  const { always, intervalMs } = sync ?? DEFAULT_SYNC;
  if (always) return good("sync", "always: every acknowledged task is on disk, and a power loss loses none");
  const seen =
    sync === undefined
      ? "clients cannot read the setting (--monitor http://HOST:8222 reads it); with the default, "
      : "";
  const interval = formatDuration(intervalMs);
  return single
    ? note(
        "sync",
        `${seen}every ${interval}: a crash of nats-server loses nothing, but a power loss can lose up to ${interval} of acknowledged tasks. Set jetstream { sync_interval: always }, or use three replicas`,
      )
    : note(
        "sync",
        `${seen}every ${interval}: acknowledged tasks are lost only if most of the ${least} servers lose power within ${interval}. Set sync_interval: always to exclude this case too`,
      );
}

/** Reports a finding that several buckets share only once. */
function grouped(findings: readonly Finding[]): readonly Finding[] {
  const byText = Map.groupBy(findings, ({ level, text }) => `${level} ${text}`);
  return [...byText.values()].map((same) => {
    const { level = "note", text = "" } = same[0] ?? {};
    return {
      level,
      topic: same.length === 1 ? "bucket" : `${same.length} buckets`,
      text: `${same.map(({ topic }) => topic).join(", ")}: ${text}`,
    };
  });
}

function replicas({ name, replicas: wanted, current, leader, refusesWrites }: NatsFacts["buckets"][number]): Finding {
  const topic = name;
  if (leader === undefined && current === 0)
    return bad(topic, "has no leader: it cannot be read or written until most of its servers run");
  if (refusesWrites !== undefined)
    return bad(topic, `accepts no writes: ${refusesWrites}. ${adviceFor(refusesWrites)}`);
  if (current < wanted)
    return bad(
      topic,
      `only ${current} of ${wanted} copies are up to date: if another server fails, the bucket may stop`,
    );
  if (wanted === 1)
    return note(topic, "one copy: while its server is down, tasks stop; if its disk is lost, all data is lost");
  return good(
    topic,
    `${wanted} copies, all up to date: ${Math.floor((wanted - 1) / 2)} server(s) can fail without a loss of tasks`,
  );
}

/** Lists the subjects to which nodes send drivers' work, beside the namespace's own. */
function subjectsOf(cluster: ClusterFacts | undefined): readonly string[] {
  return [...new Set(cluster?.nodes.flatMap(({ drivers = {} }) => Object.values(drivers)))].toSorted();
}

/** Reports ids under which two agents live, because the server delivers each message to both. */
function twins(agents: readonly AgentView[]): readonly Finding[] {
  return agents.flatMap(({ id, host, pid, twin }) =>
    twin === undefined
      ? []
      : [
          bad(
            "agents",
            `two agents with the id ${id} run, or ran within ten minutes: pid ${pid} on ${host}, and pid ${twin.pid} on ${twin.host}. The newer one works; the older one was told to stop. Give every agent a unique id`,
          ),
        ],
  );
}

/** Reports the subjects to which nodes may not publish, as the nodes have found out. */
function refused({ nodes }: ClusterFacts): readonly Finding[] {
  return nodes.flatMap(({ id, refused: subjects = [] }) =>
    subjects.map((subject) =>
      bad(
        "drivers",
        `node ${id} may not publish to ${subject}: the tasks of its driver wait. Grant the subject to the node's NATS user`,
      ),
    ),
  );
}

/** Advises on a store that refuses writes. A server that has met a full disk continues to refuse writes after there is room again. */
function adviceFor(reason: string): string {
  if (/no space left/i.test(reason)) return "Free disk space, then restart nats-server: it refuses writes until then";
  if (/maximum|insufficient|exceeded|limit/i.test(reason)) return "Free space, or raise the storage limit";
  return 'Its servers have no quorum, or cannot write: see "nats server report jetstream"';
}

function permissions({ permissions: known, user }: NatsFacts, names: Names, drivers: readonly string[]): Finding {
  if (known === undefined)
    return note(
      "permissions",
      "unknown: this user may not publish $SYS.REQ.USER.INFO, or the server did not answer. docs/protocol.md lists what each role needs",
    );
  const who = user === undefined || user.name === "" ? "this user" : `user "${user.name}" of account ${user.account}`;
  const own = `${names.root}.>`;
  const missing = [
    ...[own, "$JS.API.INFO", ...[names.leaseBucket, names.recordBucket(0)].flatMap(ofBucket), ...drivers]
      .filter((subject) => !permits(known.publish, subject))
      .map((subject) => `publish ${subject}`),
    ...[own].filter((subject) => !permits(known.subscribe, subject)).map((subject) => `subscribe ${subject}`),
  ];
  if (missing.length === 0)
    return good("permissions", `${who} has all permissions that a node, an agent and a client need`);
  const [first, ...others] = missing;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  return note(
    "permissions",
    `${who} may not ${first}${more}: this may suffice for a client or an agent, but not for a node`,
  );
}

/** The subjects on which a node publishes for one bucket. */
function ofBucket(bucket: string): readonly string[] {
  const stream = `KV_${bucket}`;
  const asked = ["STREAM.INFO", "STREAM.CREATE", "STREAM.MSG.GET"].map((verb) => `$JS.API.${verb}.${stream}`);
  return [`$KV.${bucket}.>`, ...asked, `$JS.API.CONSUMER.CREATE.${stream}.>`];
}

function clock({ clockAheadMs }: NatsFacts): Finding {
  if (clockAheadMs === undefined) return note("clock", "the server did not report its time");
  const apart = Math.abs(clockAheadMs);
  if (apart < SMALL_OFFSET_MS) return good("clock", `this machine and the server differ by ${Math.round(apart)} ms`);
  const direction = clockAheadMs > 0 ? "ahead of" : "behind";
  return note(
    "clock",
    `this machine is ${formatDuration(apart)} ${direction} the server: leases and timers use the server's clock, so only the timestamps in logs are off`,
  );
}

function namespace({ shape, buckets }: NatsFacts, names: Names, hasNodes: boolean): Finding {
  const { namespace: name } = names;
  const again =
    "Restore a backup if you have one, then restart all nodes: the first one creates missing buckets, empty";
  if (buckets.some(({ name: bucket, current }) => bucket === names.leaseBucket && current === 0))
    return bad("namespace", `"${name}" cannot be read: its bucket ${names.leaseBucket} has no leader`);
  if (shape === undefined)
    return hasNodes
      ? bad("namespace", `"${name}" is gone while its nodes run: NATS has lost its files. ${again}`)
      : note("namespace", `"${name}" does not exist yet; its first node creates it`);
  const wanted = Array.from({ length: shape.buckets }, (_, bucket) => names.recordBucket(bucket));
  const missing = wanted.filter((bucket) => !buckets.some((found) => found.name === bucket));
  if (missing.length > 0) return bad("namespace", `"${name}" has lost ${missing.join(", ")}. ${again}`);
  return good("namespace", `"${name}": ${shape.shards} shards in ${shape.buckets} bucket(s)`);
}

function hosting({ nodes, agents, map }: ClusterFacts): Finding[] {
  const free = map.shards.filter(({ node }) => node === undefined).length;
  const there = new Set(nodes.map(({ id }) => id));
  const left = map.shards.filter(({ node }) => node !== undefined && !there.has(node)).length;
  const silent = nodes.filter(({ live }) => live === undefined).map(({ id }) => id);
  const waiting = [...waitingFor(nodes)];
  const unreadable =
    nodes.reduce((sum, node) => sum + (node.unreadable ?? 0), 0) - waiting.reduce((sum, [, count]) => sum + count, 0);
  const drivers = [
    ...new Set(
      agents.filter(({ state }) => state === "here").flatMap((agent) => agent.drivers.map((driver) => driver.name)),
    ),
  ].sort();
  return [
    ...refused({ nodes, agents, map }),
    ...twins(agents),
    nodes.length === 1
      ? note(
          "nodes",
          "one node: while it is down, tasks wait, and none is lost. A second node would continue them within 2 s",
        )
      : good(
          "nodes",
          `${nodes.length} running: when a node dies, the others continue its tasks within 2 s, or within 10 s when its host is lost`,
        ),
    ...(silent.length === 0
      ? []
      : [bad("nodes", `no answer from ${silent.join(", ")}. Restart nodes that stay silent`)]),
    ...(free === 0 ? [] : [bad("shards", `${free} have no owner: their tasks wait`)]),
    ...(left === 0 ? [] : [bad("shards", `${left} belong to nodes that are gone: their tasks wait`)]),
    ...(free + left === 0 && nodes.every(({ unserved }) => unserved === undefined)
      ? [good("shards", "a node hosts every shard")]
      : []),
    ...nodes.flatMap(({ id, store }) =>
      store === undefined
        ? []
        : [
            bad(
              "store",
              `bucket ${store.bucket} accepts no writes from ${id} since ${store.since}: ${store.code}, ${store.reason}`,
            ),
          ],
    ),
    ...nodes.flatMap(({ id, unserved }) =>
      unserved === undefined
        ? []
        : [bad("shards", `${id} cannot serve ${unserved.shards} of its own: ${unserved.reason}`)],
    ),
    ...(unreadable === 0
      ? []
      : [
          bad(
            "records",
            `${unreadable} records cannot be read by these node versions and are skipped; a newer node may be able to read them${named(nodes)}`,
          ),
        ]),
    ...waiting.map(([machine, count]) =>
      bad(
        "machines",
        `${count} instances wait for ${machine}, which the nodes of their shards do not know: start a node with --machines`,
      ),
    ),
    drivers.length === 0
      ? note("agents", "no agent has announced itself: tasks wait, unless plain NATS services serve their drivers")
      : good("agents", `${agents.length} running; drivers: ${drivers.join(", ")}`),
  ];
}

/** Names a few of the records that were set aside, with the reason. */
function named(nodes: readonly NodeView[]): string {
  const some = nodes.flatMap(({ setAside = [] }) => setAside).slice(0, NAMED);
  if (some.length === 0) return "";
  const texts = some.map(({ id, reason }) => `${id} (${reason})`);
  return `. For example ${texts.join(", ")}. "ergon check --machines FILE" shows which records fit which machines`;
}

/** Tells whether a permission covers a subject, which may contain wildcards. */
function permits({ allow, deny }: Permission, subject: string): boolean {
  const allowed = allow === undefined || allow.length === 0 || allow.some((pattern) => covers(pattern, subject));
  return allowed && !(deny ?? []).some((pattern) => covers(pattern, subject) || covers(subject, pattern));
}

/** Tells whether `outer` matches every subject that `inner` matches. */
function covers(outer: string, inner: string): boolean {
  const [outers, inners] = [outer.split("."), inner.split(".")];
  for (const [at, token] of outers.entries()) {
    if (token === ">") return inners.length > at;
    const other = inners[at];
    if (other === undefined || other === ">" || (token !== "*" && token !== other)) return false;
  }
  return outers.length === inners.length;
}

function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${Number((count / 1_024 ** power).toFixed(1))} ${units[power] ?? ""}`;
}
