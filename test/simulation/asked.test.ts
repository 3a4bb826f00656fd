import { SECOND, type TaskView } from "@ergon/core";
import { H, decodeBody } from "@ergon/core/engine";
import { expect, test } from "vitest";

import { createMemoryCluster } from "../support/memory-cluster.ts";

test("a submit on a node that has no id to give is refused with the reason, and nothing is stored (B-8)", async () => {
  const cluster = createMemoryCluster();
  let broken = false;
  await cluster.addNode("n1", {
    random: () => {
      if (broken) throw new Error("no random numbers are left");
      return cluster.random();
    },
  });
  await cluster.waitForOwners();
  const { bus } = cluster.connect("stranger");
  broken = true;

  const reply = await cluster.drive(bus.request(cluster.names.submit("work"), new Uint8Array(), { timeoutMs: SECOND }));

  expect(reply.header(H.serviceError)).toBe("no random numbers are left");
  broken = false;
  expect(await cluster.stored()).toEqual([]);
});

test("reading an ended task asks the store once (B-15)", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNode("n1");
  await cluster.waitForOwners();
  await cluster.addAgent("a1");
  const client = cluster.client();
  await cluster.drive(client.run({ driver: "work", id: "123", text: "x" }));
  const reads = cluster.writes.reads;

  const view = await cluster.drive(client.get("123"));

  expect(view).toMatchObject({ id: "123", status: "succeeded" });
  expect(cluster.writes.reads - reads).toBe(1);
});

test("a decision taken through one node reaches the agent of another's task within a moment", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNodes("n1", "n2");
  const toldAt: number[] = [];
  await cluster.addAgent("a1", {
    concurrency: 20,
    handler: async (attempt) => {
      attempt.signal.addEventListener("abort", () => toldAt.push(cluster.clock.monotonic()));
      await attempt.sleep(60 * SECOND);
    },
  });
  const client = cluster.client();
  const tasks = await cluster.drive(
    Promise.all(Array.from({ length: 8 }, () => client.submit({ driver: "work", attemptTimeout: "5m" }))),
  );
  await cluster.clock.advance(SECOND);
  const decidedAt = cluster.clock.monotonic();

  await cluster.drive(Promise.all(tasks.map((task) => task.cancel())));

  await cluster.clock.advance(50);
  expect(toldAt).toHaveLength(8);
  expect(Math.max(...toldAt) - decidedAt).toBeLessThan(50);
});

test("a get, a wait whose time is over and a watch all show the same reason why a task waits", async () => {
  const cluster = createMemoryCluster();
  await cluster.addNode("n1");
  await cluster.waitForOwners();
  await cluster.addAgent("a1", { concurrency: 1, handler: (attempt) => attempt.sleep(60 * SECOND) });
  await cluster.drive(cluster.client().submit({ driver: "work", id: "first" }));
  const { bus } = cluster.connect("stranger");
  const ask = async (subject: string, headers: Readonly<Record<string, string>>): Promise<string | undefined> => {
    const reply = await cluster.drive(bus.request(subject, new Uint8Array(), { headers, timeoutMs: 5 * SECOND }));
    return (decodeBody(reply.data, reply.header(H.contentType)) as TaskView).reason;
  };
  const { names } = cluster;

  const reasons = {
    submit: await ask(names.submit("work"), { [H.id]: "second", [H.wait]: "1s" }),
    get: await ask(names.verb("get", "second"), {}),
    wait: await ask(names.verb("wait", "second"), { [H.wait]: "1s" }),
    watch: await ask(names.verb("watch", "second"), {}),
  };

  const reason = "waiting for a free slot of 1 agent of driver work";
  expect(reasons).toEqual({ submit: reason, get: reason, wait: reason, watch: reason });
});
