// Values that look like marks of XState's or of Ergon's come back as they went in, by every way through a machine.
import { defineMachine, driver, machine } from "@ergon/core";
import { H, JSON_TYPE, MSGPACK_TYPE, decodeBody, encodeBody } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";
import { assign, createMachine, setup } from "xstate";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const values: readonly unknown[] = [
  { xstate$$type: 1, id: "nobody" },
  { list: [{ xstate$$type: 1, id: "pupil", more: "text" }] },
  { ergon$error: { name: "E", message: "m" } },
  { ergon$data: { ergon$error: { name: "E", message: "m" } } },
  { ergon$data: 1, deep: [{ ergon$data: { ergon$data: {} } }] },
];

interface Kept {
  got: unknown;
  back: unknown[];
  told?: unknown;
}

/** Hands its input on to a task, a task of its own, and a durable child, and keeps what comes back. */
const stage = setup({
  types: {} as { context: Kept; input: unknown; events: { type: "tell"; value: unknown } },
  actors: {
    task: driver<unknown>("echo"),
    standing: driver<unknown>("echo", { standalone: true }),
    pupil: machine<unknown>("pupil"),
  },
});
const keeper = defineMachine(
  stage.createMachine({
    id: "keeper",
    context: ({ input }) => ({ got: input, back: [] }),
    initial: "task",
    states: {
      task: {
        invoke: {
          src: "task",
          input: ({ context }) => context.got,
          onDone: {
            target: "standing",
            actions: assign({ back: ({ context, event }) => [...context.back, event.output] }),
          },
        },
      },
      standing: {
        invoke: {
          src: "standing",
          input: ({ context }) => context.got,
          onDone: {
            target: "pupil",
            actions: assign({ back: ({ context, event }) => [...context.back, event.output] }),
          },
        },
      },
      pupil: {
        invoke: {
          src: "pupil",
          input: ({ context }) => context.got,
          onDone: {
            target: "told",
            actions: assign({ back: ({ context, event }) => [...context.back, event.output] }),
          },
        },
      },
      told: {},
    },
    on: { tell: { target: ".told", actions: assign({ told: ({ event }) => event.value }) } },
  }),
);
const keeperWithEnd = defineMachine(
  createMachine({
    id: "ender",
    context: ({ input }) => ({ got: input as unknown }),
    initial: "on",
    states: { on: { on: { end: "off" } }, off: { type: "final" } },
    output: ({ context }) => context["got"],
  }),
);
const pupil = defineMachine(
  createMachine({
    id: "pupil",
    context: ({ input }) => ({ got: input as unknown }),
    initial: "off",
    states: { off: { type: "final" } },
    output: ({ context }) => context["got"],
  }),
);

async function staged(): Promise<MemoryCluster> {
  const cluster = createMemoryCluster({ machines: [keeper, keeperWithEnd, pupil] });
  await cluster.addNodes("n1");
  await cluster.addAgent("a1", { driver: "echo", handler: (attempt) => attempt.json() });
  return cluster;
}

async function another(cluster: MemoryCluster): Promise<void> {
  await cluster.addNode(`n${cluster.nodes.length + 1}`);
  cluster.nodes.find((node) => !node.gone)?.kill();
}

describe("a value that looks like a mark", () => {
  test.for(values)("is what it was in a context, a task, a child, an event and an output: %j", async (value) => {
    const cluster = await staged();
    const client = cluster.client();
    const one = await cluster.drive(client.start("keeper", value, { id: "k-1" }));
    const { context } = await cluster.drive(one.wait({ state: "told", timeoutMs: 20_000 }));
    expect(context).toEqual({ got: value, back: [value, value, value] });
    await another(cluster);
    const after = await cluster.drive(one.ask({ type: "tell", value }, { state: "told", timeoutMs: 20_000 }));
    expect(after.context).toEqual({ got: value, back: [value, value, value], told: value });
    const two = await cluster.drive(client.start("ender", value, { id: "e-1" }));
    await another(cluster);
    await cluster.drive(two.send({ type: "end" }));
    expect(await cluster.drive(two.output())).toEqual(value);
  });

  test.for(values)("is the same from a client without the SDK, and the same start is the same: %j", async (value) => {
    const cluster = await staged();
    const { bus } = cluster.connect("stranger");
    for (const type of [JSON_TYPE, MSGPACK_TYPE]) {
      const headers = { [H.id]: "k-1", [H.contentType]: type };
      const start = cluster.names.start("keeper");
      const reply = await cluster.drive(bus.request(start, encodeBody(value, type), { headers, timeoutMs: 5_000 }));
      expect(decodeBody(reply.data, JSON_TYPE)).toMatchObject({ id: "k-1", context: { got: value } });
    }
    const client = cluster.client();
    await expect(cluster.drive(client.start("keeper", value, { id: "k-1" }))).resolves.toMatchObject({ id: "k-1" });
    const told = encodeBody({ type: "tell", value }, JSON_TYPE);
    await cluster.drive(bus.request(cluster.names.verb("send", "k-1"), told, { timeoutMs: 5_000 }));
    expect((await cluster.drive(client.instance("k-1").get())).context).toMatchObject({ got: value, told: value });
  });
});

test("an error from the SDK is an error in the machine, beside data that look like one", async () => {
  const cluster = await staged();
  const error = Object.assign(new RangeError("far"), { code: "E_FAR" });
  const value = { error, data: { ergon$error: { name: "E", message: "m" } } };
  const one = await cluster.drive(cluster.client().start("ender", value, { id: "e-1" }));
  expect((await cluster.drive(one.get())).context).toEqual({
    got: { error: { name: "RangeError", message: "far", code: "E_FAR" }, data: value.data },
  });
});
