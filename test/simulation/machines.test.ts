import { defineMachine, driver, machine } from "@ergon/core";
import { expect, test } from "vitest";
import { assign, createMachine, fromPromise, sendParent, setup } from "xstate";

import { createMemoryCluster } from "../support/memory-cluster.ts";

const order = setup({
  types: {} as { context: { amount: number; receipt?: unknown; error?: unknown }; input: { amount: number } },
  actors: { pay: driver<{ amount: number }, { receipt: string }>("payments") },
}).createMachine({
  id: "order",
  context: ({ input }) => ({ amount: input.amount }),
  initial: "draft",
  states: {
    draft: { on: { confirm: "paying" } },
    paying: {
      tags: "busy",
      invoke: {
        src: "pay",
        input: ({ context }) => ({ amount: context.amount }),
        onDone: { target: "paid", actions: assign({ receipt: ({ event }) => event.output }) },
        onError: { target: "refused", actions: assign({ error: ({ event }) => event.error }) },
      },
      on: { cancel: "refused" },
    },
    paid: { after: { 60_000: "closed" } },
    closed: { type: "final" },
    refused: { type: "final" },
  },
  output: ({ context }) => context.receipt,
});

test("an instance invokes a task, waits, and ends with its output", async () => {
  const cluster = createMemoryCluster({ machines: [defineMachine(order)] });
  await cluster.addNodes("n1", "n2");
  await cluster.addAgent("a1", {
    driver: "payments",
    handler: (attempt) => ({ receipt: `r-${attempt.json<{ amount: number }>().amount}` }),
  });
  const client = cluster.client();
  const one = await cluster.drive(client.start("order", { amount: 5 }, { id: "o-1" }));
  expect(await cluster.drive(one.get())).toMatchObject({ machine: "order", status: "running", state: "draft" });
  expect(await cluster.drive(one.can())).toMatchObject({ events: ["confirm"] });
  const paid = await cluster.drive(one.ask({ type: "confirm" }, { state: "paid", timeoutMs: 10_000 }));
  expect(paid).toMatchObject({ state: "paid", context: { amount: 5, receipt: { receipt: "r-5" } } });
  await cluster.clock.advance(59_000);
  expect(await cluster.drive(one.get())).toMatchObject({ state: "paid" });
  await cluster.clock.advance(2_000);
  expect(await cluster.drive(one.output())).toEqual({ receipt: "r-5" });
  expect(await cluster.drive(one.get())).toMatchObject({ status: "succeeded", state: "closed" });
});

test("a durable child ends, and its parent hears so once", async () => {
  const parent = createMachine({
    id: "parent",
    context: { notes: [] as unknown[] },
    initial: "asking",
    states: {
      asking: {
        invoke: {
          src: machine("child"),
          input: { n: 20 },
          onDone: {
            target: "done",
            actions: assign({ notes: ({ context, event }) => [...context.notes, event.output] }),
          },
        },
        on: { hello: { actions: assign({ notes: ({ context }) => [...context.notes, "hello"] }) } },
      },
      done: { type: "final" },
    },
    output: ({ context }) => context.notes,
  });
  const child = setup({
    types: {} as { input: { n: number }; context: { n: number } },
    actors: { slow: fromPromise<number, { n: number }>(async ({ input }) => input.n + 1) },
  }).createMachine({
    id: "child",
    context: ({ input }) => ({ n: input.n }),
    entry: sendParent({ type: "hello" }),
    initial: "a",
    states: {
      a: {
        invoke: {
          src: "slow",
          input: ({ context }) => context,
          onDone: { target: "b", actions: assign({ n: ({ event }) => event.output }) },
        },
      },
      b: { after: { 1_000: "c" } },
      c: { type: "final" },
    },
    output: ({ context }) => context.n,
  });
  const cluster = createMemoryCluster({ machines: [defineMachine(parent), defineMachine(child)] });
  await cluster.addNodes("n1", "n2");
  const client = cluster.client();
  const one = await cluster.drive(client.start("parent", undefined, { id: "p-1" }));
  expect(await cluster.drive(one.output())).toEqual(["hello", 21]);
});
