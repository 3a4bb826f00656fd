import { SECOND } from "@ergon/core";
import { describe, expect, test } from "vitest";

import { answerPlain, createMemoryCluster } from "../support/memory-cluster.ts";

describe("an agent that is started again under its id before it was missed", () => {
  test("an agent that is started again under its id before it was missed gets the work of the drivers that it serves now, and none of those that it served", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const { process } = await cluster.addAgent("same", { driver: "old", concurrency: 4 });
    const client = cluster.client();
    await cluster.clock.advance(500);
    process.kill();
    const { agent } = await cluster.addAgent("same-again", { id: "same", driver: "new" });
    expect(agent.id).toBe("same");
    await cluster.addAgent("other", { driver: "old" });

    const tasks = await cluster.drive(
      Promise.all(["old", "new"].map((driver) => client.submit({ driver, attemptTimeout: "1h", text: "x" }))),
    );
    const before = cluster.clock.now();
    const ends = await cluster.drive(Promise.all(tasks.map(({ id }) => client.wait(id))));

    expect(ends.map(({ driver, status, agent: by }) => [driver, status, by])).toEqual([
      ["old", "succeeded", "other"],
      ["new", "succeeded", "same"],
    ]);
    expect(cluster.clock.now() - before).toBeLessThan(2 * SECOND);
  });
});

describe("a driver that nobody serves and nothing waits for", () => {
  test("a driver that nobody serves and nothing waits for is forgotten, and found out about again when it is named again", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const client = cluster.client();
    const { id } = await cluster.drive(client.submit({ driver: "rare", text: "x" }));
    await cluster.clock.advance(SECOND);
    await cluster.drive(client.cancel(id));
    await cluster.clock.advance(2 * SECOND);
    cluster.addPlainAgent("rare", (message, bus) => answerPlain(message, bus, "done"));

    const again = await cluster.drive(client.submit({ driver: "rare", text: "x" }));

    expect(await cluster.drive(client.wait(again.id))).toMatchObject({ status: "succeeded", attempt: 1 });
  });
});
