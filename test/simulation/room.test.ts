import { type BatchReply, type ActorSummary, type Message } from "@ergon/core";
import { H, JSON_TYPE, decodeBody } from "@ergon/core/engine";
import { describe, expect, test, vi } from "vitest";

import { createMemoryCluster } from "../support/memory-cluster.ts";

const codeOf = (message: Message): string => message.header(H.error) ?? "ok";

describe("a node whose store takes nothing", () => {
  test("a node whose store takes nothing refuses batches, submits and retries at once, also behind a change that waits for the store", async () => {
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

    expect(answers.map(codeOf)).toEqual(["STORE_FULL", "STORE_FULL", "STORE_FULL"]);
  });
});

describe("a list of many tasks that wait for their time", () => {
  test("a list of many tasks that wait for their time gives others their turn, however few of them it wants", async () => {
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

describe("tasks that wait for their time", () => {
  test("tasks that wait for their time are packed again after somebody has read them or waited for them", async () => {
    const cluster = createMemoryCluster({ oneInFlight: true });
    const { clock } = await cluster.addNode("n1");
    await cluster.waitForOwners();
    const client = cluster.client();
    const { tasks } = await cluster.drive(
      client.batch({ tasks: Array.from({ length: 1_000 }, () => ({ driver: "work", delay: "1h" })) }),
    );
    await cluster.clock.advance(1_000);
    await cluster.drive(
      Promise.all(tasks.map(({ id }, index) => (index < 500 ? client.get(id) : client.wait(id, { timeoutMs: 3_000 })))),
    );
    await cluster.clock.advance(2_000);
    const after = vi.spyOn(clock, "after");

    await cluster.drive(client.list({ tag: "none" }));

    // One turn for each 500 that are packed.
    expect(after.mock.calls.filter(([delayMs]) => delayMs === 0)).toHaveLength(2);
  });
});

describe("a list of what is large", () => {
  test("a list of what is large fits into a message however large responses are, and leaves none out", async () => {
    const cluster = createMemoryCluster({ maxMessageBytes: 131_072 });
    await cluster.addNodes("n1", "n2");
    await cluster.addAgent("a1", { handler: () => "r".repeat(20_000) });
    const client = cluster.client();
    const resource = `urn:${"x".repeat(2_000)}`;
    const ids = Array.from({ length: 60 }, (_, index) => `t-${index}`);
    await cluster.drive(
      Promise.all(ids.map((id) => client.run({ driver: "work", id, resource, arguments: { a: "b" } }))),
    );

    const first = await cluster.drive(client.list({ all: true, limit: 1_000 }));
    const tasks: ActorSummary[] = [];
    await cluster.drive(
      (async () => {
        for await (const task of client.listAll({ all: true, limit: 1_000 })) tasks.push(task);
      })(),
    );

    expect(first).toMatchObject({ cursor: expect.any(String) as string });
    expect(tasks.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    expect(tasks[0]).toMatchObject({ status: "succeeded", responseBytes: 20_000 });
    for (const large of ["response", "arguments", "history"]) expect(tasks[0]).not.toHaveProperty(large);
  });
});

describe("a batch", () => {
  test("a batch with a task in the far future is decided like any other", async () => {
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
