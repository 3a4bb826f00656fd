import { H } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

interface Stage {
  readonly cluster: MemoryCluster;
  readonly lines: string[];
}

async function stageOf(...nodes: string[]): Promise<Stage> {
  const lines: string[] = [];
  const cluster = createMemoryCluster({ shards: 4, onLog: (line) => lines.push(line) });
  await cluster.addNodes(...nodes);
  return { cluster, lines };
}

/** Says presence as anybody could. */
function say(cluster: MemoryCluster, body: unknown): void {
  cluster.connect("herald").bus.publish(cluster.names.presence, Buffer.from(JSON.stringify(body)));
}

describe("two agents that live under one id", () => {
  test("two agents that live under one id are noticed by every node; the younger one stays, and the older one stops and says nothing more of what it runs", async () => {
    const { cluster, lines } = await stageOf("n1", "n2");
    const runs: string[] = [];
    const replaced: string[] = [];
    const handlerOf = (name: string) => async (attempt: { taskId: string; sleep: (ms: number) => Promise<void> }) => {
      runs.push(`${name} ${attempt.taskId}`);
      await attempt.sleep(50);
      return name;
    };
    const older = await cluster.addAgent("a1", {
      handler: handlerOf("older"),
      concurrency: 2,
      onReplaced: ({ code }) => replaced.push(`older ${code}`),
    });
    await cluster.clock.advance(3_000);
    const younger = await cluster.addAgent("a1", {
      handler: handlerOf("younger"),
      concurrency: 2,
      onReplaced: ({ code }) => replaced.push(`younger ${code}`),
    });
    await cluster.clock.advance(3_000);

    expect(replaced).toEqual(["older AGENT_REPLACED"]);
    expect([older, younger].map(({ agent }) => agent.state)).toEqual(["gone", "here"]);
    const told = lines.filter((line) => line.includes("two running agents have the same id"));
    expect(new Set(told.map((line) => line.split(" ")[1]))).toEqual(new Set(["n1", "n2"]));
    const [view] = await cluster.drive(cluster.client().agents());
    expect(view).toMatchObject({ id: "a1", twin: { pid: process.pid } });

    const client = cluster.client({ timeoutMs: 60_000 });
    const ids = Array.from({ length: 20 }, (_, n) => `t${n}`);
    await cluster.drive(Promise.all(ids.map((id) => client.submit({ driver: "work", id }))));
    const ends = await cluster.drive(Promise.all(ids.map((id) => client.wait(id))));
    expect(ends).toMatchObject(ids.map(() => ({ attempt: 1, response: { text: "younger" } })));
    expect(runs.toSorted()).toEqual(ids.map((id) => `younger ${id}`).toSorted());

    await cluster.clock.advance(600_000);
    const [later] = await cluster.drive(cluster.client().agents());
    expect(later).not.toHaveProperty("twin");
  });

  test("two agents that live under one id are told apart by when they began, whichever is heard first", async () => {
    const { cluster } = await stageOf("n1");
    const told: unknown[] = [];
    cluster.connect("twins").bus.subscribe(cluster.names.control("s1"), (message) => {
      if (message.header(H.event) === "replaced") told.push(JSON.parse(Buffer.from(message.data).toString()));
    });
    const beat = { agent: "s1", drivers: [{ name: "work", concurrency: 1 }], state: "here" };
    const younger = { ...beat, incarnation: "a", startedAt: "2026-01-01T00:00:02Z" };
    const older = { ...beat, incarnation: "b", startedAt: "2026-01-01T00:00:01Z" };
    for (const body of [younger, older, younger, older, younger]) {
      say(cluster, body);
      await cluster.clock.advance(1_000);
    }

    expect(new Set(told.map((body) => JSON.stringify(body)))).toEqual(new Set(['{"incarnation":"b"}']));
    const [view] = await cluster.drive(cluster.client().agents());
    expect(view).toMatchObject({ incarnation: "a" });
  });

  test("an agent that was started again is not taken for two agents, though a beat of its former life comes late", async () => {
    const { cluster, lines } = await stageOf("n1");
    const beat = { agent: "s1", drivers: [{ name: "work", concurrency: 1 }], state: "here" };
    for (const incarnation of ["first", "second", "first"]) {
      say(cluster, { ...beat, incarnation });
      await cluster.clock.advance(100);
    }
    await cluster.clock.advance(3_000);

    expect(lines.filter((line) => line.includes("two running agents"))).toEqual([]);
  });
});

describe("a beat that cannot be read", () => {
  test("a beat that cannot be read is logged by the agent's id and the field at fault, once a minute for each agent", async () => {
    const { cluster, lines } = await stageOf("n1");
    const bad = () => lines.filter((line) => line.includes("beat is malformed"));
    for (let second = 0; second < 30; second++) {
      say(cluster, { agent: "s1", drivers: [{ name: "work", concurrency: 0 }], state: "here" });
      say(cluster, { agent: "s2", drivers: [], state: "busy" });
      say(cluster, "nonsense");
      await cluster.clock.advance(1_000);
    }
    expect(
      bad()
        .map((line) => line.slice(line.indexOf("{")))
        .toSorted(),
    ).toEqual([
      '{"agent":"","reason":"it must be a map"}',
      '{"agent":"s1","reason":"drivers[0].concurrency must be a whole number of 1 or more"}',
      '{"agent":"s2","reason":"state must be here, draining or gone"}',
    ]);

    await cluster.clock.advance(60_000);
    say(cluster, { agent: "s1", drivers: "all", state: "here" });
    await cluster.clock.advance(100);
    expect(bad()).toHaveLength(4);
  });
});
