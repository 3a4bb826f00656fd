// A store that takes no writes: a full disk, a bucket without a leader, a bucket without a quorum.
import { isErgonError } from "@ergon/core";
import { H } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const said = /takes no writes|takes writes again/;

/** A bare client's submit, and how long its answer takes. */
async function submit(cluster: MemoryCluster, id: string): Promise<{ code: string | undefined; ms: number }> {
  const begin = cluster.clock.monotonic();
  const { bus } = cluster.connect(`bare-${id}`);
  const request = bus.request(cluster.names.submit("work"), Buffer.from("x"), {
    headers: { [H.id]: id },
    timeoutMs: 15_000,
  });
  const code = await cluster.drive(
    request.then(
      (answer) => answer.header(H.error),
      (error: unknown) => (isErgonError(error) ? error.code : String(error)),
    ),
  );
  return { code, ms: cluster.clock.monotonic() - begin };
}

describe("a store that takes no writes", () => {
  test.for([
    ["full", "STORE_FULL"],
    ["unavailable", "STORE_UNAVAILABLE"],
    ["silent", "STORE_UNAVAILABLE"],
  ] as const)(
    "a store that takes no writes is reported by nodes, by each submit, and by the log once and once more when it is over: %s (I-7)",
    { timeout: 60_000 },
    async ([storage, code]) => {
      const lines: string[] = [];
      const cluster = createMemoryCluster({ shards: 8, onLog: (line) => lines.push(line) });
      await cluster.addNodes("n1");
      await cluster.addAgent("a1");
      const client = cluster.client({ timeoutMs: 60_000 });
      expect(await cluster.drive(client.nodes())).not.toHaveProperty("0.store");

      cluster.network.storage = storage;
      // Before a write has failed nobody can know.
      await submit(cluster, "first");
      const answers = [];
      for (let index = 0; index < 10; index++) answers.push(await submit(cluster, `t${index}`));
      const [during] = await cluster.drive(client.nodes());
      await cluster.clock.advance(60_000);

      expect(answers.map((answer) => answer.code)).toEqual(answers.map(() => code));
      expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(2_000);
      expect(during?.store).toMatchObject({ bucket: 0, code, reason: expect.any(String) as string });
      expect(lines.filter((line) => said.test(line))).toHaveLength(1);

      cluster.network.storage = "ok";
      await cluster.clock.advance(30_000);

      expect(lines.filter((line) => said.test(line))).toHaveLength(2);
      const [after] = await cluster.drive(client.nodes());
      expect(after).not.toHaveProperty("store");
      expect(after).not.toHaveProperty("unserved");
      const view = await cluster.drive(client.submit({ driver: "work", text: "x" }).then((task) => task.wait()));
      expect(view.status).toBe("succeeded");
    },
  );

  test("a store whose shards cannot be read is reported with the reason, once", async () => {
    const lines: string[] = [];
    const cluster = createMemoryCluster({ shards: 4, onLog: (line) => lines.push(line) });
    const [first] = await cluster.addNodes("n1", "n2");
    cluster.network.storage = "silent";
    first?.kill();
    await cluster.clock.advance(60_000);

    const [node] = await cluster.drive(cluster.client({ timeoutMs: 20_000 }).nodes());

    expect(node?.unserved).toMatchObject({ shards: 2, reason: expect.stringContaining("no answer") as string });
    expect(lines.filter((line) => /n2 W this node cannot serve some of its shards/.test(line))).toHaveLength(1);
    cluster.network.storage = "ok";
    await cluster.clock.advance(20_000);
    expect(lines.filter((line) => /n2 I this node serves all of its shards again/.test(line))).toHaveLength(1);
  });

  test("a lost connection is not reported as the store's trouble", async () => {
    const lines: string[] = [];
    const cluster = createMemoryCluster({ shards: 4, onLog: (line) => lines.push(line) });
    const [node] = await cluster.addNodes("n1");
    await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(2_000) });
    const client = cluster.client({ timeoutMs: 60_000 });
    const task = await cluster.drive(client.submit({ driver: "work", text: "x" }));
    await cluster.clock.advance(1_500);
    node?.disconnect();
    await cluster.clock.advance(5_000);
    node?.reconnect();

    await cluster.drive(task.wait());

    expect(lines.filter((line) => said.test(line))).toEqual([]);
  });
});
