// Events that are sent again and again while nodes die: each that was answered as taken counts once.
import { defineMachine } from "@ergon/core";
import { H, JSON_TYPE, decodeError, encodeBody } from "@ergon/core/engine";
import { seededRandom } from "@ergon/core/testing";
import { expect, test } from "vitest";
import { assign, createMachine } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const counter = defineMachine(
  createMachine({
    id: "counter",
    context: { taken: {} as Record<string, number> },
    on: {
      inc: {
        actions: assign({
          taken: ({ context, event }) => {
            const { key } = event as unknown as { key: string };
            return { ...context.taken, [key]: (context.taken[key] ?? 0) + 1 };
          },
        }),
      },
      end: ".over",
    },
    initial: "on",
    states: { on: {}, over: { type: "final" } },
  }),
);

interface Repetition {
  /** Sends an event several times; resolves with how often it was answered as taken. */
  send(key: string, eventId: string, copies: number): Promise<number>;
}

function sender(cluster: MemoryCluster, name: string, chance: () => number): Repetition {
  const { bus } = cluster.connect(name);
  const once = async (key: string, eventId: string, afterMs: number): Promise<number> => {
    await new Promise<void>((resolve) => {
      cluster.clock.after(afterMs, resolve);
    });
    try {
      const reply = await bus.request(cluster.names.verb("send", "c-1"), encodeBody({ type: "inc", key }, JSON_TYPE), {
        headers: { [H.eventId]: eventId, [H.contentType]: JSON_TYPE },
        timeoutMs: 5_000,
      });
      return decodeError(reply) === undefined ? 1 : 0;
    } catch {
      return 0;
    }
  };
  return {
    send: async (key, eventId, copies) => {
      const begin = chance() * 10_000;
      const each = Array.from({ length: copies }, () => once(key, eventId, begin + chance() * 60_000));
      return (await Promise.all(each)).reduce((sum, taken) => sum + taken, 0);
    },
  };
}

test.for([1, 2, 3])(
  "an event that clients repeat in flight counts once, across nodes that die and whose clocks are an hour apart, seed %i",
  async (seed) => {
    const chance = seededRandom(seed * 7_919);
    const cluster = createMemoryCluster({ seed, machines: [counter], oneInFlight: seed % 2 === 0 });
    await cluster.addNodes("n1", "n2");
    const client = cluster.client();
    const one = await cluster.drive(client.start("counter", undefined, { id: "c-1" }));
    const raw = sender(cluster, "stranger", chance);
    const answers = Array.from({ length: 150 }, (_, n) => raw.send(`k${n}`, `${n}x`, 3));
    const all = Promise.all(answers);
    for (let n = 3; n < 7; n++) {
      await cluster.clock.advance(12_000);
      await cluster.addNode(`n${n}`, { clockOffsetMs: (chance() - 0.5) * 7_200_000 });
      cluster.nodes.find((node) => !node.gone)?.kill();
    }
    const taken = await cluster.drive(all);
    const { context } = await cluster.drive(one.get());
    const counts = (context as { taken: Record<string, number> }).taken;
    expect(Object.entries(counts).filter(([, count]) => count > 1)).toEqual([]);
    expect(taken.flatMap((answered, n) => (answered > 0 && counts[`k${n}`] !== 1 ? [n] : []))).toEqual([]);
    expect(taken.filter((answered) => answered > 0).length).toBeGreaterThan(125);
  },
);

test("an event that ended its instance is answered as taken when it is repeated behind hundreds of others", async () => {
  const cluster = createMemoryCluster({ machines: [counter] });
  await cluster.addNode("n1");
  const client = cluster.client();
  const one = await cluster.drive(client.start("counter", undefined, { id: "c-1" }));
  await cluster.drive(one.send({ type: "inc", key: "first" }, { eventId: "first" }));
  for (let n = 0; n < 300; n += 100)
    await cluster.drive(
      Promise.all(Array.from({ length: 100 }, (_, index) => one.send({ type: "inc", key: `k${n + index}` }))),
    );
  await cluster.drive(one.send({ type: "end" }, { eventId: "last" }));
  await expect(cluster.drive(one.send({ type: "inc", key: "first" }, { eventId: "first" }))).resolves.toMatchObject({
    status: "succeeded",
  });
  await expect(cluster.drive(one.send({ type: "inc", key: "new" }))).rejects.toMatchObject({ code: "TASK_ENDED" });
  const { context } = await cluster.drive(one.get());
  expect((context as { taken: Record<string, number> }).taken).toMatchObject({ first: 1, k299: 1 });
});
