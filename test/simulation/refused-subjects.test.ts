import { describe, expect, test } from "vitest";

import { answerPlain, createMemoryCluster } from "../support/memory-cluster.ts";

const reason = "this node's NATS user may not publish to svc.mail";

describe("a driver's subject that the node may not publish to", () => {
  test("a driver's subject that the node may not publish to lets the driver's tasks wait with that reason, asks the server seldom, and sends them once it is granted", async () => {
    const cluster = createMemoryCluster({ shards: 4 });
    const node = await cluster.addNode("n1", { drivers: { mail: { subject: "svc.mail" } } });
    await cluster.waitForOwners();
    node.process.denied.add("svc.mail");
    let refusals = 0;
    node.process.bus.onRefused(() => refusals++);
    const service = cluster.connect("service");
    service.bus.subscribe("svc.mail", (message) => answerPlain(message, service.bus, "sent"));
    const client = cluster.client({ timeoutMs: 60_000 });
    const ids = Array.from({ length: 20 }, (_, n) => `m${n}`);
    const options = { driver: "mail", attemptTimeout: "1s", retry: { maxAttempts: 1 } };
    await cluster.drive(Promise.all(ids.map((id) => client.submit({ ...options, id }))));

    await cluster.clock.advance(8_000);
    const views = await cluster.drive(Promise.all(ids.map((id) => client.get(id))));
    expect([...new Set(views.map((view) => `${view.status}: ${view.reason ?? ""}`))]).toEqual([`scheduled: ${reason}`]);
    expect(refusals).toBe(1);
    const [view] = await cluster.drive(client.nodes());
    expect(view).toMatchObject({ drivers: { mail: "svc.mail" }, refused: ["svc.mail"] });

    node.process.denied.clear();
    const ends = await cluster.drive(Promise.all(ids.map((id) => client.wait(id))));
    expect(new Set(ends.map(({ status, failures }) => `${status}, ${failures}`))).toEqual(new Set(["succeeded, 0"]));
    const [after] = await cluster.drive(client.nodes());
    expect(after?.refused).toBeUndefined();
  });
});

describe("an SDK agent's subject that the node may not publish to", () => {
  test("an SDK agent's subject that the node may not publish to gives the attempt back at once, with that reason and growing pauses", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    const node = await cluster.addNode("n1");
    await cluster.waitForOwners();
    const subject = cluster.names.agent("work", "a1");
    node.process.denied.add(subject);
    const attempts: string[] = [];
    await cluster.addAgent("a1", { handler: ({ number }) => attempts.push(String(number)) });
    const client = cluster.client({ timeoutMs: 60_000 });
    await cluster.drive(client.submit({ driver: "work", id: "t", attemptTimeout: "1s", retry: { maxAttempts: 1 } }));

    await cluster.clock.advance(5_000);
    const view = await cluster.drive(client.get("t"));
    expect(view).toMatchObject({ status: "retrying", failures: 0, reason: expect.stringContaining(subject) });
    expect(view.attempt).toBeLessThan(10);

    node.process.denied.clear();
    expect(await cluster.drive(client.wait("t"))).toMatchObject({ status: "succeeded", failures: 0 });
    expect(attempts).toHaveLength(1);
  });
});
