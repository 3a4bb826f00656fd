import { H } from "@ergon/core/engine";
import fc from "fast-check";
import { describe, expect } from "vitest";

import { gate, test, type AgentStage, type ScriptedNode } from "../support/agent-stage.ts";

const forever = { driver: "work", concurrency: 4, handler: () => gate().promise };

describe("a node that reserves", () => {
  test("a node that reserves gets what is free, and is remembered with the rest", async ({ start }) => {
    const { node, clock } = await start([forever]);
    const [n1, n2] = [node("n1"), node("n2")];

    expect(await n1.reserve(3)).toBe(3);
    expect(await n2.reserve(3)).toBe(1);
    n1.release(2);
    await clock.advance(20);

    expect(n2.credits).toEqual([{ agent: "a1", driver: "work", granted: 2 }]);
  });

  test("a node that reserves makes the agent recall what others hold beyond the fair share", async ({ start }) => {
    const { node, clock } = await start([forever]);
    const [n1, n2] = [node("n1"), node("n2")];
    await n1.reserve(4);

    await n2.reserve(4);
    await clock.advance(20);

    expect(n1.credits).toEqual([{ agent: "a1", driver: "work", recall: 2 }]);
  });

  test("a node that reserves takes no holder below the fair share", async ({ start }) => {
    const { node, clock } = await start([forever]);
    const [n1, n2, n3, n4] = [node("n1"), node("n2"), node("n3"), node("n4")];
    await n1.reserve(2);
    await n2.reserve(2);

    await n3.reserve(4);
    await n4.reserve(4);
    await clock.advance(20);

    const recalled = [n1, n2].map(({ credits }) => credits.map(({ recall }) => recall));
    expect(recalled).toEqual([[1], [1]]);
  });

  test("a node that reserves makes the agent recall from anyone, where there are fewer slots than nodes", async ({
    start,
  }) => {
    const { node, clock } = await start([{ ...forever, concurrency: 1 }]);
    const [n1, n2] = [node("n1"), node("n2")];
    await n1.reserve(1);

    expect(await n2.reserve(1)).toBe(0);
    await clock.advance(20);

    expect(n1.credits).toEqual([{ agent: "a1", driver: "work", recall: 1 }]);
  });

  test("a node that reserves for something more urgent makes the agent recall all that it asks for from nodes with less urgent work", async ({
    start,
  }) => {
    const { node, clock } = await start([forever]);
    const [n1, n2] = [node("n1"), node("n2")];
    await n1.reserve(4);

    await n2.reserve(3, "work", 9);
    await clock.advance(20);

    expect(n1.credits).toEqual([{ agent: "a1", driver: "work", recall: 3 }]);
  });

  test("a node that reserves for something less urgent gets its fair share only when nothing more urgent waits", async ({
    start,
  }) => {
    const { node, clock } = await start([{ ...forever, concurrency: 1 }]);
    const [n1, n2] = [node("n1"), node("n2")];
    await n1.reserve(1, "work", 9);
    await n2.reserve(1, "work", 5);

    n1.release(1, { want: 1, priority: 9 });
    await clock.advance(20);
    expect(n2.credits).toEqual([]);
    expect(n1.credits.filter(({ granted }) => granted !== undefined)).toHaveLength(1);

    n1.release(1, { want: 1, priority: 5 });
    await clock.advance(20);
    expect(n2.credits[0]).toEqual({ agent: "a1", driver: "work", granted: 1 });
  });

  test("a node that reserves gets a credit after those that have waited longer", async ({ start }) => {
    const { node, clock } = await start([{ ...forever, concurrency: 1 }]);
    const [n1, n2, n3] = [node("n1"), node("n2"), node("n3")];
    await n1.reserve(1);
    await n3.reserve(1);
    await n2.reserve(1);
    const holders: string[] = [];
    for (const holder of [n1, n3, n2, n1]) {
      holder.release(1, { want: 1, priority: 5 });
      await clock.advance(20);
      for (const { id, credits } of [n1, n2, n3])
        if (credits.splice(0).some(({ granted }) => granted === 1)) holders.push(id);
    }
    expect(holders).toEqual(["n3", "n2", "n1", "n3"]);
  });

  test("a node that reserves asks anew each time: its last demand counts", async ({ start }) => {
    const { node, clock } = await start([forever]);
    const [n1, n2] = [node("n1"), node("n2")];
    await n1.reserve(4);
    await n2.reserve(4);

    await n2.reserve(0);
    n1.release(4);
    await clock.advance(20);

    expect(n2.credits).toEqual([]);
  });

  test("a reservation for another driver, or with nonsense, is answered with the fault", async ({ start }) => {
    const { node } = await start([forever]);
    const n1 = node("n1");

    const other = await n1.control("reserve", { node: "n1", driver: "other", want: 1 });
    const nonsense = await n1.control("reserve", { node: "n1", driver: "work", want: -1 });
    const nobody = await n1.control("reserve", { node: "n 1", driver: "work", want: 1 });

    expect(other.header(H.error)).toBe("INVALID_DRIVER");
    expect(nonsense.header(H.error)).toBe("INVALID_BODY");
    expect(nobody.header(H.error)).toBe("INVALID_BODY");
  });
});

describe("a recall", () => {
  test("a recall is said again while the node has idle credits, since it may not have been heard", async ({
    start,
  }) => {
    const { node, clock } = await start([forever]);
    const [n1, n2] = [node("n1"), node("n2")];
    await n1.reserve(4);
    await n2.reserve(1);

    n1.roll("here");
    await clock.advance(1_100);

    expect(n1.credits).toEqual([
      { agent: "a1", driver: "work", recall: 1 },
      { agent: "a1", driver: "work", recall: 1 },
    ]);
  });

  test("a recall tells a node that does not know of its credits, since a grant was lost, how many it holds", async ({
    start,
  }) => {
    const { node, clock } = await start([forever]);
    const [n1, n2] = [node("n1"), node("n2")];
    await n1.reserve(4);
    await n2.reserve(1);

    for (let second = 0; second < 5; second++) {
      n1.roll("here");
      await clock.advance(1_000);
    }

    expect(n1.credits.at(-1)).toEqual({ agent: "a1", driver: "work", held: 4, recall: 1 });
  });

  test("a recall is not said again while all credits are in use: they come back by themselves", async ({ start }) => {
    const { node, clock } = await start([forever]);
    const [n1, n2] = [node("n1"), node("n2")];
    await n1.reserve(4);
    for (const task of ["a", "b", "c", "d"]) n1.dispatch(task);
    await clock.advance(20);
    await n2.reserve(1);

    n1.roll("here");
    await clock.advance(3_000);

    expect(n1.credits).toHaveLength(1);
  });
});

describe("a dispatch", () => {
  test("a dispatch without a credit runs where a slot is free, and takes the credit", async ({ start }) => {
    const { node, clock, agent } = await start([forever]);
    const [n1, n2] = [node("n1"), node("n2")];

    n1.dispatch("t1");
    await clock.advance(20);

    expect(agent.running).toBe(1);
    expect(await n2.reserve(4)).toBe(3);
  });

  test("a dispatch without a credit or a free slot goes back, AGENT_BUSY, and its node is told what it holds", async ({
    start,
  }) => {
    const { node, clock, agent, said } = await start([forever]);
    const [n1, n2] = [node("n1"), node("n2")];
    await n1.reserve(4);

    n2.dispatch("t1");
    await clock.advance(20);

    expect(agent.running).toBe(0);
    expect(said.map(({ event, headers }) => [event, headers[H.reason]])).toEqual([["returned", "AGENT_BUSY"]]);
    expect(n2.credits).toEqual([{ agent: "a1", driver: "work", held: 0 }]);
  });

  test("a dispatch leaves its credit with its node when it has ended", async ({ start }) => {
    const { node, clock } = await start([{ ...forever, handler: () => undefined }]);
    const [n1, n2] = [node("n1"), node("n2")];
    await n1.reserve(4);
    n1.dispatch("t1");
    await clock.advance(20);

    expect(await n2.reserve(1)).toBe(0);
  });

  test("a dispatch of an attempt that runs, from another node, takes the credit along", async ({ start }) => {
    const { node, clock } = await start([forever]);
    const [n1, n2, n3] = [node("n1"), node("n2"), node("n3")];
    await n1.reserve(4);
    n1.dispatch("t1");
    await clock.advance(20);

    n2.dispatch("t1");
    n1.roll("gone");
    await clock.advance(20);

    expect(await n3.reserve(4)).toBe(3);
  });
});

describe("a node that is gone", () => {
  test.for([
    [
      "says so",
      async (stage: AgentStage, node: ScriptedNode) => {
        node.roll("gone");
        await stage.clock.advance(20);
      },
    ],
    ["is silent for 5 s", async (stage: AgentStage) => stage.clock.advance(6_100)],
  ] as const)(
    "a node that is gone loses its idle credits, and those in use as they end: it %s",
    async ([, leave], { start }) => {
      const gates = [gate(), gate()];
      let started = 0;
      const stage = await start([{ ...forever, handler: () => gates[started++]?.promise }]);
      const [n1, n2] = [stage.node("n1"), stage.node("n2")];
      n1.roll("here");
      await stage.clock.advance(20);
      await n1.reserve(4);
      n1.dispatch("t1");
      n1.dispatch("t2");
      await stage.clock.advance(20);

      await leave(stage, n1);
      const atOnce = await n2.reserve(4);
      gates[0]?.open();
      await stage.clock.advance(20);

      expect(atOnce).toBe(2);
      expect(n2.credits).toEqual([{ agent: "a1", driver: "work", granted: 1 }]);
    },
  );

  test("an agent that was paused itself keeps the credits of nodes that seem gone", async ({ start }) => {
    const stage = await start([forever]);
    const n1 = stage.node("n1");
    await n1.reserve(4);
    stage.process.disconnect();
    await stage.clock.advance(20_000);
    stage.process.reconnect();
    await stage.clock.advance(2_000);

    expect(await stage.node("n2").reserve(1)).toBe(0);
  });
});

describe("a node that waits although it holds idle credits", () => {
  test("a node that waits although it holds idle credits is told after a few seconds what it holds: a grant was lost on its way", async ({
    start,
  }) => {
    const stage = await start([forever]);
    const n1 = stage.node("n1");
    await n1.reserve(3);
    await n1.reserve(4);

    for (let second = 0; second < 5; second++) {
      n1.roll("here");
      await stage.clock.advance(1_000);
    }

    expect(n1.credits.at(-1)).toEqual({ agent: "a1", driver: "work", held: 4 });
  });
});

describe("credits", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("reserve" as const), node: fc.nat(2), count: fc.nat(6) }),
    fc.record({ do: fc.constant("release" as const), node: fc.nat(2), count: fc.nat(6) }),
    fc.record({ do: fc.constant("dispatch" as const), node: fc.nat(2), count: fc.nat(5) }),
    fc.record({ do: fc.constant("end" as const), node: fc.nat(2), count: fc.nat(5) }),
    fc.record({ do: fc.constant("gone" as const), node: fc.nat(2), count: fc.nat(0) }),
    fc.record({ do: fc.constant("wait" as const), node: fc.nat(2), count: fc.nat(1_500) }),
  );

  test("credits are never more than the slots whatever nodes do, and all come back when the nodes are gone", async ({
    start,
  }) => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 40 }), async (slots, steps) => {
        const open = new Map<string, () => void>();
        const stage = await start([
          {
            driver: "work",
            concurrency: slots,
            handler: ({ taskId }) => {
              const { promise, open: end } = gate();
              open.set(taskId, end);
              return promise;
            },
          },
        ]);
        const nodes = [0, 1, 2].map((index) => stage.node(`n${index}`));
        const gone = new Set<number>();
        let most = 0;

        for (const { do: what, node: index, count } of steps) {
          const node = nodes[index];
          if (node === undefined) continue;
          for (const [other, present] of nodes.entries()) if (!gone.has(other)) present.roll("here");
          if (what === "reserve") {
            gone.delete(index);
            expect(await node.reserve(count)).toBeLessThanOrEqual(slots);
          } else if (what === "release") node.release(count);
          else if (what === "dispatch") node.dispatch(`t${count}`, { attempt: steps.length });
          else if (what === "end") open.get(`t${count}`)?.();
          else if (what === "gone") {
            gone.add(index);
            node.roll("gone");
          } else await stage.clock.advance(count);
          await stage.clock.advance(20);
          most = Math.max(most, stage.agent.running);
        }

        expect(most).toBeLessThanOrEqual(slots);
        for (const end of open.values()) end();
        for (const node of nodes) node.roll("gone");
        await stage.clock.advance(20);
        expect(await stage.node("last").reserve(slots + 1)).toBe(slots);
      }),
      { numRuns: 150 },
    );
  });
});
