import { createNames } from "@ergon/core/engine";
import type { NatsFacts } from "@ergon/core/nats";
import { judge, judgeWithout, type ClusterFacts, type Finding, type Sync } from "@ergon/node/cli";
import { describe, expect, test } from "vitest";

import { readText } from "../support/documents.ts";

const names = createNames("default");
const bucket = { name: "ergon_default_tasks_0", replicas: 3, leader: "n1", current: 3, records: 10, bytes: 1_000 };

const facts: NatsFacts = {
  server: { name: "n1", version: "2.15.1", cluster: "c" },
  maxPayload: 1_048_576,
  roundTripMs: 0.4,
  clockAheadMs: 3,
  user: { name: "ergon", account: "A" },
  permissions: { publish: {}, subscribe: {} },
  storage: { used: 1_000, limit: -1 },
  shape: { shards: 2, buckets: 1, replicas: 3 },
  buckets: [bucket],
};
const node = { id: "a", host: "h", pid: 1, version: "0", startedAt: "", shards: 1, live: 0, machines: [] };
const cluster: ClusterFacts = {
  nodes: [node, { ...node, id: "b" }],
  agents: [
    {
      id: "x",
      drivers: [{ name: "echo", concurrency: 1 }],
      state: "here",
      running: 0,
      host: "h",
      pid: 2,
      version: "0",
    },
  ],
  map: {
    namespace: "default",
    buckets: 1,
    shards: [
      { shard: 0, bucket: 0, node: "a", fence: 1 },
      { shard: 1, bucket: 0, node: "b", fence: 1 },
    ],
  },
};
const always: Sync = { always: true, intervalMs: 0 };

const find = (
  topic: string,
  changed: Partial<NatsFacts> = {},
  sync: Sync | undefined = always,
  seen: ClusterFacts | undefined = cluster,
): Finding | undefined => judge({ ...facts, ...changed }, names, sync, seen).find((finding) => finding.topic === topic);

describe("doctor", () => {
  test("three synced copies, two nodes and an agent leave doctor nothing to report", () => {
    expect(judge(facts, names, always, cluster).map(({ level }) => level)).not.toContain("bad");
    expect(judge(facts, names, always, cluster).map(({ level }) => level)).not.toContain("note");
  });

  test("a subject that a node may not publish to is named, and a driver's subject is tested for the user that asks", () => {
    const refusing: ClusterFacts = { ...cluster, nodes: [{ ...node, refused: ["svc.mail"] }] };
    expect(find("drivers", {}, always, refusing)).toMatchObject({
      level: "bad",
      text: expect.stringContaining("node a may not publish to svc.mail"),
    });

    const driving: ClusterFacts = { ...cluster, nodes: [{ ...node, drivers: { mail: "svc.mail" } }] };
    const permissions = { publish: { deny: ["svc.>"] }, subscribe: {} };
    expect(find("permissions", { permissions }, always, driving)).toMatchObject({
      level: "note",
      text: expect.stringContaining("may not publish svc.mail"),
    });
    expect(find("permissions", { permissions })).toMatchObject({ level: "good" });
  });

  test("doctor names two running agents that have the same id, with their hosts and processes", () => {
    const [agent] = cluster.agents;
    if (agent === undefined) throw new Error("no agent");
    const twins: ClusterFacts = { ...cluster, agents: [{ ...agent, twin: { host: "h2", pid: 7 } }] };

    expect(judge(facts, names, always, twins)).toContainEqual({
      level: "bad",
      topic: "agents",
      text: expect.stringContaining(
        "two agents with the id x run, or ran within ten minutes: pid 2 on h, and pid 7 on h2",
      ),
    });
  });

  test("a bucket that takes no writes is bad, and the advice follows from the reason", () => {
    const refuses = (refusesWrites: string): Finding | undefined =>
      find("bucket", { buckets: [{ ...bucket, refusesWrites }] });

    expect(refuses("no space left on device (10077)")).toMatchObject({
      level: "bad",
      text: expect.stringContaining("restart nats-server") as string,
    });
    expect(refuses("insufficient storage resources available (10047)")?.text).toContain("raise the storage limit");
    expect(refuses("JetStream did not answer in time")?.text).toContain("quorum");
  });

  test("doctor reports a node's trouble with its store and its shards as bad", () => {
    const store = { bucket: 0, code: "STORE_FULL", reason: "no space", since: "2026-01-01T00:00:00.000Z" };
    const troubled = {
      ...cluster,
      nodes: [
        { ...node, store },
        { ...node, id: "b", unserved: { shards: 3, reason: "no answer" } },
      ],
    };

    expect(find("store", {}, always, troubled)).toMatchObject({
      level: "bad",
      text: expect.stringMatching(/bucket 0 accepts no writes from a since 2026.*STORE_FULL, no space/) as string,
    });
    expect(find("shards", {}, always, troubled)).toMatchObject({
      level: "bad",
      text: expect.stringContaining("b cannot serve 3 of its own: no answer") as string,
    });
  });

  test("a bucket of leases without a leader is not taken for a namespace that is gone", () => {
    const leases = { name: names.leaseBucket, replicas: 1, leader: undefined, current: 0, records: 0, bytes: 0 };
    expect(find("namespace", { shape: undefined, buckets: [leases] })?.text).toContain("has no leader");
  });

  test("doctor judges the answers of nodes also when JetStream does not answer", () => {
    expect(judgeWithout("no answer to INFO", cluster).map(({ level, topic }) => `${level} ${topic}`)).toContain(
      "bad jetstream",
    );
    expect(judgeWithout("no answer to INFO", cluster).map(({ topic }) => topic)).toContain("agents");
    expect(judgeWithout("no answer to INFO", undefined).map(({ level }) => level)).toEqual(["bad", "bad"]);
  });

  test("doctor names the machine that instances wait for, and does not call their records damaged", () => {
    const waiting = {
      ...cluster,
      nodes: [
        { ...node, unreadable: 5, waiting: { "order@2": 3 } },
        {
          ...node,
          id: "b",
          unreadable: 2,
          waiting: { "order@2": 2 },
          setAside: [{ id: "o-7", reason: "its state paying is not there" }],
        },
      ],
    };

    expect(find("machines", {}, always, waiting)).toMatchObject({
      level: "bad",
      text: expect.stringContaining("5 instances wait for order@2") as string,
    });
    expect(find("records", {}, always, waiting)).toMatchObject({
      level: "bad",
      text: expect.stringMatching(
        /^2 records cannot be read.* For example o-7 \(its state paying is not there\)\. "ergon check /,
      ) as string,
    });
    expect(find("machines")).toBeUndefined();
  });

  test("doctor warns of writes that are at risk between two syncs, on one server alone", () => {
    const single = { buckets: [{ ...bucket, replicas: 1, current: 1 }] };

    expect(find("sync", single, { always: false, intervalMs: 10_000 })).toMatchObject({
      level: "note",
      text: expect.stringContaining("a power loss can lose up to 10s of acknowledged tasks"),
    });
    expect(find("sync", {}, { always: false, intervalMs: 10_000 })).toMatchObject({
      level: "note",
      text: expect.stringContaining("most of the 3 servers lose power within 10s"),
    });
    expect(find("sync", single, always)).toMatchObject({ level: "good" });
  });

  test("doctor reports a copy that lags, or a bucket without a leader, as bad", () => {
    expect(find("bucket", { buckets: [{ ...bucket, current: 2 }] })).toMatchObject({
      level: "bad",
      text: expect.stringContaining("only 2 of 3 copies"),
    });
    expect(find("bucket", { buckets: [{ ...bucket, leader: undefined, current: 0 }] })).toMatchObject({
      level: "bad",
      text: expect.stringContaining("no leader"),
    });
  });

  test("doctor notes a clock that is off, and says that leases and timers use the server's", () => {
    expect(find("clock", { clockAheadMs: -3_600_000 })).toMatchObject({
      level: "note",
      text: expect.stringContaining("1h behind the server: leases and timers use the server's clock"),
    });
  });

  test.for([
    ["nothing said", {}, "good"],
    ["everything under the namespace", { allow: ["ergon.default.>", "$JS.API.>", "$KV.*.>"] }, "good"],
    ["another namespace", { allow: ["ergon.blue.>", "$JS.API.>", "$KV.>"] }, "note"],
    ["a part denied", { deny: ["ergon.default.submit.*"] }, "note"],
  ] as const)("permissions: %s", ([, publish, level]) => {
    expect(find("permissions", { permissions: { publish, subscribe: {} } })).toMatchObject({ level });
  });

  test("doctor does not call permissions sufficient that it cannot read", () => {
    expect(find("permissions", { permissions: undefined, user: undefined })).toMatchObject({
      level: "note",
      text: expect.stringContaining("unknown: this user may not publish"),
    });
  });

  test("permissions.conf's node is enough for a node", () => {
    const conf = readText("docker/nats/permissions.conf");
    const [, node = ""] = /NODE = \{\s*publish: \{ allow: \[([^\]]*)\]/.exec(conf) ?? [];
    const allow = [...node.matchAll(/"([^"]+)"/g)].map(([, subject = ""]) => subject);

    expect(find("permissions", { permissions: { publish: { allow }, subscribe: {} } })).toMatchObject({
      level: "good",
    });
    const less = allow.filter((subject) => subject !== "$KV.ergon_default_leases.>");
    expect(find("permissions", { permissions: { publish: { allow: less }, subscribe: {} } })).toMatchObject({
      level: "note",
      text: expect.stringContaining("may not publish $KV.ergon_default_leases.>:"),
    });
  });

  test("doctor reports a lost namespace, or a lost bucket of it, as bad", () => {
    expect(find("namespace", { shape: undefined, buckets: [] })).toMatchObject({
      level: "bad",
      text: expect.stringContaining("restart all nodes"),
    });
    const none = judge({ ...facts, shape: undefined, buckets: [] }, names, always, undefined);
    expect(none).toContainEqual(expect.objectContaining({ topic: "namespace", level: "note" }));
    expect(find("namespace", { shape: { shards: 2, buckets: 2, replicas: 3 } })).toMatchObject({
      level: "bad",
      text: expect.stringContaining("has lost ergon_default_tasks_1."),
    });
  });

  test("doctor reports shards of nodes that are gone as bad", () => {
    expect(find("shards", {}, always, { ...cluster, nodes: [node] })).toMatchObject({
      level: "bad",
      text: "1 belong to nodes that are gone: their tasks wait",
    });
  });

  test("doctor reports a full store, free shards and silent nodes as bad", () => {
    const { map, nodes } = cluster;
    const free = { ...cluster, map: { ...map, shards: [{ shard: 0, bucket: 0, fence: 0 }] } };
    const silent = {
      ...cluster,
      nodes: [...nodes, { id: "c", host: "h", pid: 3, version: "0", startedAt: "", shards: 0, machines: [] }],
    };

    expect(find("storage", { storage: { used: 95, limit: 100 } })).toMatchObject({ level: "bad" });
    expect(find("shards", {}, always, free)).toMatchObject({
      level: "bad",
      text: expect.stringContaining("1 have no owner"),
    });
    expect(judge(facts, names, always, silent)).toContainEqual({
      level: "bad",
      topic: "nodes",
      text: "no answer from c. Restart nodes that stay silent",
    });
  });
});
