import { defineMachine, type Machine } from "@ergon/core";
import { delay } from "@ergon/core/engine";
import { seededRandom } from "@ergon/core/testing";
import { expect, test } from "vitest";
import { assign, setup } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const INSTANCES = 40;
const STEPS = 4;

const v1 = defineMachine(
  setup({ types: {} as { context: { steps: number } } }).createMachine({
    id: "count",
    context: { steps: 0 },
    initial: "counting",
    states: {
      counting: {
        on: { step: { actions: assign({ steps: ({ context }) => context.steps + 1 }) }, finish: "done" },
      },
      done: { type: "final" },
    },
    output: ({ context }) => context.steps,
  }),
);
const v2 = defineMachine(
  setup({ types: {} as { context: { counted: number } } }).createMachine({
    id: "count",
    context: { counted: 0 },
    initial: "open",
    states: {
      open: {
        on: { step: { actions: assign({ counted: ({ context }) => context.counted + 1 }) }, finish: "closed" },
      },
      closed: { type: "final" },
    },
    output: ({ context }) => context.counted,
  }),
  { version: "2", migrate: { 1: ({ context }) => ({ value: "open", context: { counted: context["steps"] } }) } },
);

/** What the nodes know, from the old deploy to the new one. */
const deploys: readonly (readonly Machine[])[] = [[v1], [v1, v2], [v2]];

test.for([1, 2, 3, 55])(
  "a rolling deploy while nodes die: every instance counts each of its events once, whatever version takes it (I-7), seed %i",
  { timeout: 60_000 },
  async (seed) => {
    const cluster = createMemoryCluster({ seed, shards: 12, oneInFlight: seed % 2 === 0 });
    const chance = seededRandom(seed * 7_919);
    await cluster.addNode("first-0", { machines: deploys[0] ?? [] });
    await cluster.addNode("first-1", { machines: deploys[0] ?? [] });
    await cluster.waitForOwners();
    const counted = Promise.all(Array.from({ length: INSTANCES }, (_, n) => live(cluster, `i${n}`, chance)));
    await deploy(cluster, chance);

    expect(await cluster.drive(counted, 300_000)).toEqual(Array.from({ length: INSTANCES }, () => STEPS));
  },
);

/** One instance from its start to its end, with pauses. */
async function live(cluster: MemoryCluster, id: string, chance: () => number): Promise<unknown> {
  const client = cluster.client({ timeoutMs: 240_000 });
  await delay(cluster.clock, chance() * 5_000);
  const one = await client.start("count", undefined, { id });
  for (let step = 1; step <= STEPS; step++) {
    await delay(cluster.clock, chance() * 8_000);
    await one.send({ type: "step" }, { eventId: `step-${step}` });
  }
  await one.send({ type: "finish" });
  return one.output();
}

/** Each deploy adds nodes of its own and takes away those before it, in good order or not. */
async function deploy(cluster: MemoryCluster, chance: () => number): Promise<void> {
  for (const [round, machines] of deploys.entries()) {
    if (round === 0) continue;
    const former = cluster.nodes.filter(({ gone }) => !gone);
    for (let n = 0; n < 2; n++) {
      await cluster.addNode(`deploy-${round}-${n}`, { machines });
      await cluster.clock.advance(chance() * 4_000);
    }
    for (const node of former) {
      if (chance() < 0.5) node.kill();
      else await cluster.drive(node.node.stop());
      node.gone = true;
      await cluster.clock.advance(chance() * 6_000);
    }
  }
}
