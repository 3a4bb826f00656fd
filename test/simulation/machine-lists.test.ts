import { defineMachine, driver } from "@ergon/core";
import { expect, test } from "vitest";
import { createMachine } from "xstate";

import { createMemoryCluster } from "../support/memory-cluster.ts";

const parcel = createMachine({
  id: "parcel",
  initial: "packing",
  states: {
    packing: { initial: "box", tags: "inside", states: { box: {} }, on: { send: "out", label: "labelling" } },
    labelling: { invoke: { src: driver("labels") } },
    out: { on: { arrive: "there" } },
    there: { type: "final" },
  },
});
const letter = createMachine({ id: "letter", initial: "out", states: { out: {} } });

test("lists hold tasks and instances alike, and pick by machine, state and tag", async () => {
  const cluster = createMemoryCluster({ machines: [defineMachine(parcel), defineMachine(letter)] });
  await cluster.addNodes("n1", "n2");
  const client = cluster.client();
  await cluster.drive(client.submit({ driver: "work", id: "t", tags: ["red"], payload: 1 }));
  await cluster.drive(client.start("parcel", undefined, { id: "p1", tags: ["red"] }));
  await cluster.drive(client.start("parcel", undefined, { id: "p2" }));
  await cluster.drive(client.start("parcel", undefined, { id: "p3" }));
  await cluster.drive(client.start("letter", undefined, { id: "l" }));
  await cluster.drive(client.instance("p2").send({ type: "send" }));
  await cluster.drive(client.instance("p3").send({ type: "send" }));
  await cluster.drive(client.instance("p3").send({ type: "arrive" }));
  const ids = async (request: object): Promise<string[]> =>
    (await cluster.drive(client.list(request))).tasks.map(({ id }) => id).toSorted();

  expect(await ids({})).toEqual(["l", "p1", "p2", "t"]);
  expect(await ids({ all: true })).toEqual(["l", "p1", "p2", "p3", "t"]);
  expect(await ids({ machine: "parcel" })).toEqual(["p1", "p2"]);
  expect(await ids({ machine: "task" })).toEqual(["t"]);
  expect(await ids({ driver: "work" })).toEqual(["t"]);
  expect(await ids({ state: "packing" })).toEqual(["p1"]);
  expect(await ids({ state: "packing.box" })).toEqual(["p1"]);
  expect(await ids({ state: "out" })).toEqual(["l", "p2"]);
  expect(await ids({ tag: "inside" })).toEqual(["p1"]);
  expect(await ids({ tag: "red" })).toEqual(["p1", "t"]);
  expect(await ids({ status: "running" })).toEqual(["l", "p1", "p2"]);
  expect(await ids({ status: "succeeded", machine: "parcel" })).toEqual(["p3"]);
});

test("lists hold one of each kind, live ones first, in one order at each reading", async () => {
  const cluster = createMemoryCluster({ machines: [defineMachine(letter)] });
  await cluster.addNodes("n1", "n2");
  await cluster.addAgent("a1");
  const client = cluster.client();
  await cluster.drive(client.run({ driver: "work", id: "done", text: "x" }));
  for (const start of [
    () => client.submit({ driver: "nobody", id: "task" }),
    () => client.plan({ steps: [{ id: "one", driver: "nobody" }] }, { id: "plan" }),
    () => client.schedule({ id: "schedule", every: "1h", task: { driver: "nobody" } }),
    () => client.start("letter", undefined, { id: "instance" }),
  ]) {
    await cluster.drive(start() as Promise<unknown>);
    await cluster.clock.advance(1_000);
  }

  const readings: string[][] = [];
  for (let index = 0; index < 20; index++) {
    const { tasks } = await cluster.drive(client.list({ all: true }));
    readings.push(tasks.map(({ id }) => id));
  }

  expect(readings[0]).toEqual(["instance", "schedule", "plan", "task", "done"]);
  expect(new Set(readings.map((ids) => ids.join(" "))).size).toBe(1);
});

test("a line of a list tells an instance's state and how many children it has", async () => {
  const cluster = createMemoryCluster({ machines: [defineMachine(parcel)] });
  await cluster.addNodes("n1");
  const client = cluster.client();
  await cluster.drive(client.start("parcel", undefined, { id: "p1" }));
  await cluster.drive(client.instance("p1").send({ type: "label" }));

  const { tasks } = await cluster.drive(client.list());
  expect(tasks).toMatchObject([
    { id: "p1", machine: "parcel", version: "1", state: "labelling", status: "running", children: 1 },
  ]);
  expect(tasks[0]).not.toHaveProperty("context");
});
