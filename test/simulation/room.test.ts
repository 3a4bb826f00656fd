import { H, JSON_TYPE, decodeBody, type BatchReply, type Message } from "@ergon/core";
import { describe, expect, test, vi } from "vitest";

import { createMemoryCluster } from "../support/memory-cluster.ts";

const codeOf = (message: Message): string => message.header(H.error) ?? "ok";

describe("a node whose store takes nothing", () => {
  test("refuses batches and retries as it does submits, once as much waits as it may hold", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const { names, network } = cluster;
    const { bus } = cluster.connect("raw");
    const client = cluster.client();
    await cluster.drive(client.submit({ driver: "work", delay: "100ms", text: "x" }));
    const { id } = await cluster.drive(client.submit({ driver: "work", id: "over", delay: "1h", text: "x" }));
    await cluster.drive(client.cancel(id));
    network.storage = "full";
    // A change that is refused holds back what follows.
    await cluster.clock.advance(200);
    const tasks = Buffer.from(JSON.stringify({ tasks: Array.from({ length: 10_000 }, () => ({ driver: "work" })) }));
    for (const _ of ["first", "second", "third"]) bus.publish(names.batch, tasks);
    await cluster.clock.advance(50);

    const answers = await cluster.drive(
      Promise.all(
        [names.batch, names.submit("work"), names.verb("retry", id)].map((subject) =>
          bus.request(subject, subject === names.batch ? tasks : new Uint8Array(), { timeoutMs: 1_000 }),
        ),
      ),
    );

    expect(answers.map(codeOf)).toEqual(["OVERLOADED", "OVERLOADED", "OVERLOADED"]);
  });
});

describe("a list of many tasks that wait for their time", () => {
  test("gives others their turn, however few of them it wants", async () => {
    const cluster = createMemoryCluster({ oneInFlight: true });
    const { clock } = await cluster.addNode("n1");
    await cluster.waitForOwners();
    const client = cluster.client();
    await cluster.drive(
      client.batch({ tasks: Array.from({ length: 1_500 }, () => ({ driver: "work", delay: "1h" })) }),
    );
    await cluster.clock.advance(1_000);
    const after = vi.spyOn(clock, "after");

    const page = await cluster.drive(client.list({ tag: "none" }));

    expect(page).toEqual({ tasks: [] });
    expect(after.mock.calls.filter(([delayMs]) => delayMs === 0)).toHaveLength(3);
  });
});

describe("a batch", () => {
  test("with a task in the far future is decided like any other", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const body = { tasks: [{ driver: "work", notBefore: 8_640_000_000_000_000 }, { driver: "work" }] };
    const { bus } = cluster.connect("raw");

    const reply = await cluster.drive(
      bus.request(cluster.names.batch, Buffer.from(JSON.stringify(body)), { timeoutMs: 10_000 }),
    );

    expect((decodeBody(reply.data, JSON_TYPE) as BatchReply).tasks).toHaveLength(2);
  });
});
