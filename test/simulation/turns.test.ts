// A burst of events at an instance whose guard is slow: the node goes on serving everybody else.
import { defineMachine } from "@ergon/core";
import { expect, onTestFinished, test } from "vitest";
import { assign, createMachine } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const SLOW_MS = 30;

/** Each event that it takes, and each timer, holds its node up for a while. */
function slow(burn: () => void): ReturnType<typeof defineMachine> {
  const guard = (): boolean => {
    burn();
    return true;
  };
  return defineMachine(
    createMachine({
      id: "slow",
      context: { n: 0 },
      on: {
        inc: { guard, actions: assign({ n: ({ context }) => Number(context["n"]) + 1 }) },
      },
      initial: "young",
      states: { young: { after: { 60_000: { guard, target: "old" } } }, old: {} },
    }),
  );
}

async function staged(): Promise<{ cluster: MemoryCluster; took: (work: Promise<unknown>) => Promise<number> }> {
  let burn = (): void => undefined;
  const cluster = createMemoryCluster({ machines: [slow(() => burn())] });
  burn = () => cluster.clock.burn(SLOW_MS);
  onTestFinished(() => expect(cluster.nodes.every((node) => !node.gone)).toBe(true));
  await cluster.addNode("n1");
  await cluster.waitForOwners();
  const took = async (work: Promise<unknown>): Promise<number> => {
    const begin = cluster.clock.monotonic();
    await work;
    return cluster.clock.monotonic() - begin;
  };
  return { cluster, took };
}

test("a send to another instance and a cancel of the busy one are answered in the midst of a burst", async () => {
  const { cluster, took } = await staged();
  const client = cluster.client({ timeoutMs: 120_000 });
  const busy = await cluster.drive(client.start("slow", undefined, { id: "busy" }));
  const other = await cluster.drive(client.start("slow", undefined, { id: "other" }));
  const burst = took(Promise.all(Array.from({ length: 300 }, () => busy.send({ type: "inc" }))));
  const others = Array.from({ length: 5 }, () => took(other.send({ type: "inc" })));
  const longest = Math.max(...(await cluster.drive(Promise.all(others))));
  const got = await cluster.drive(took(other.get()));
  expect(await cluster.drive(burst)).toBeGreaterThan(300 * SLOW_MS);
  expect(longest).toBeLessThan(50 * SLOW_MS);
  expect(got).toBeLessThan(10 * SLOW_MS);
  expect((await cluster.drive(busy.get())).context).toEqual({ n: 300 });
  expect((await cluster.drive(other.get())).context).toEqual({ n: 5 });
  const again = Promise.allSettled(Array.from({ length: 300 }, () => busy.send({ type: "inc" })));
  await cluster.clock.advance(300);
  expect(await cluster.drive(took(busy.cancel()))).toBeLessThan(10 * SLOW_MS);
  const codes = (await cluster.drive(again)).map((outcome) =>
    outcome.status === "rejected" ? (outcome.reason as { code: string }).code : "taken",
  );
  expect(new Set(codes)).toEqual(new Set(["taken", "TASK_ENDED"]));
});

test("timers that are due at once and whose steps are slow hold up nobody else, and no session", async () => {
  const { cluster, took } = await staged();
  const client = cluster.client({ timeoutMs: 120_000 });
  await cluster.drive(
    Promise.all(Array.from({ length: 300 }, (_, n) => client.start("slow", undefined, { id: `slow-${n}` }))),
  );
  await cluster.clock.advance(59_900);
  const gets = cluster.drive(took(client.instance("slow-7").get()));
  expect(await gets).toBeLessThan(10 * SLOW_MS);
  await cluster.clock.advance(200);
  expect(await cluster.drive(took(client.instance("slow-7").get()))).toBeLessThan(10 * SLOW_MS);
  await cluster.clock.advance(300 * SLOW_MS);
  const { state } = await cluster.drive(client.instance("slow-299").get());
  expect(state).toBe("old");
});
