import { H } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { createMemoryCluster } from "../support/memory-cluster.ts";

describe("a reply-to", () => {
  const forbidden = [
    "$KV.ergon_default_tasks_0.owner.3",
    "$JS.API.STREAM.PURGE.KV_ergon_default_tasks_0",
    "ergon.default.roll",
    "ergon.default.presence",
    "ergon.default.recorded.a1.task.1",
    "ergon.other.submit.work",
  ];

  test("a reply-to of a client on a subject of NATS or of the nodes is never answered, whatever the outcome", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    await cluster.addAgent("a1");
    const seen: string[] = [];
    const spy = cluster.connect("spy");
    const task = await cluster.drive(cluster.client().submit({ driver: "work", id: "done", text: "x" }));
    await cluster.drive(task.response());
    for (const subject of forbidden)
      spy.bus.subscribe(subject, (message) => {
        // What nodes publish there by themselves is none of these.
        if (message.header(H.task) !== undefined || message.header(H.error) !== undefined) seen.push(message.subject);
      });
    const { bus } = cluster.connect("evil");
    const { names } = cluster;

    for (const reply of forbidden) {
      const headers = { [H.wait]: "5s", [H.answer]: "response" };
      bus.publish(names.submit("work"), Buffer.from(`{"node":"n1","state":"gone"}`), { reply, headers });
      bus.publish(names.submit("work"), new Uint8Array(), { reply, headers: { [H.priority]: "none" } });
      for (const verb of ["get", "wait", "watch", "cancel", "retry", "end"] as const)
        for (const id of ["done", "missing"]) bus.publish(names.verb(verb, id), new Uint8Array(), { reply });
      bus.publish(names.batch, new Uint8Array(), { reply });
      bus.publish(names.cluster("nodes"), new Uint8Array(), { reply });
    }
    await cluster.clock.advance(6_000);

    expect(seen).toEqual([]);
  });
});

describe("an answer that names an agent", () => {
  test("an answer that names an agent by an invalid name is taken without the name, and the shard continues at its next owner", async () => {
    const cluster = createMemoryCluster({ shards: 2 });
    const [n1] = await cluster.addNodes("n1", "n2");
    cluster.addPlainAgent("work", (message, bus) => {
      const headers = { [H.event]: "claimed", [H.agent]: "no name" };
      bus.publish(message.reply ?? "", new Uint8Array(), { headers });
    });
    const client = cluster.client();
    const ids = ["a", "b", "c", "d"];
    for (const id of ids) await cluster.drive(client.submit({ driver: "work", id, text: "x" }));
    await cluster.clock.advance(500);
    n1?.kill();
    await cluster.clock.advance(3_000);

    const views = await cluster.drive(Promise.all(ids.map((id) => client.get(id))));

    expect(views.map(({ status, agent }) => [status, agent])).toEqual(ids.map(() => ["started", undefined]));
  });

  test("an answer that names an agent with texts of any length never outgrows its record", async () => {
    const cluster = createMemoryCluster({ maxMessageBytes: 65_536 });
    await cluster.addNodes("n1");
    const long = "x".repeat(50_000);
    cluster.addPlainAgent("returns", (message, bus) => {
      bus.publish(message.reply ?? "", new Uint8Array(), { headers: { [H.event]: "returned", [H.reason]: long } });
    });
    cluster.addPlainAgent("answers", (message, bus) => {
      bus.publish(message.reply ?? "", new Uint8Array(), { headers: { [H.contentType]: long, [H.agent]: long } });
    });
    const client = cluster.client();
    const payload = new Uint8Array(32_000);
    const options = { payload, totalTimeout: "2s" };
    const returned = await cluster.drive(client.submit({ driver: "returns", ...options }));
    const answered = await cluster.drive(client.submit({ driver: "answers", ...options }));
    await cluster.clock.advance(3_000);

    const stored = await cluster.stored();

    expect(stored.find(({ id }) => id === returned.id)?.task.failure?.code).toBe("TOTAL_TIMEOUT");
    expect(stored.find(({ id }) => id === answered.id)?.status).toBe("succeeded");
  });
});
