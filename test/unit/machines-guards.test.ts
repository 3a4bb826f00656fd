// How often the guards of a machine run.
import { defineMachine } from "@ergon/core";
import { createTestInstance, type TestInstance } from "@ergon/core/testing";
import { expect, onTestFinished, test } from "vitest";
import { assign, createMachine, type AnyStateMachine } from "xstate";

import { createMemoryCluster } from "../support/memory-cluster.ts";

function counting(guard: () => boolean): AnyStateMachine {
  const taken = { guard, actions: assign({ n: ({ context }) => Number((context as { n: number }).n) + 1 }) };
  return createMachine({
    id: "counting",
    context: { n: 0 },
    initial: "on",
    states: { on: { on: { GO: taken, cancel: { guard, target: "off" } } }, off: {} },
  });
}

async function started(logic: AnyStateMachine): Promise<TestInstance> {
  const instance = await createTestInstance(defineMachine(logic));
  onTestFinished(() => instance.close());
  return instance;
}

test("a guard runs once for each event, taken or not", async () => {
  let [runs, answer] = [0, true];
  const instance = await started(
    counting(() => {
      runs += 1;
      return answer;
    }),
  );
  for (let index = 0; index < 3; index++) await instance.send({ type: "GO" });
  expect([runs, instance.view().context]).toEqual([3, { n: 3 }]);
  answer = false;
  await expect(instance.send({ type: "GO" })).rejects.toMatchObject({ code: "EVENT_NOT_ACCEPTED" });
  expect([runs, instance.view().context]).toEqual([4, { n: 3 }]);
});

test("a guard that answers otherwise each time takes just the events that are acknowledged", async () => {
  let runs = 0;
  const instance = await started(counting(() => ++runs % 2 === 1));
  const acknowledged = [];
  for (let index = 0; index < 6; index++)
    acknowledged.push(
      await instance.send({ type: "GO" }).then(
        () => true,
        () => false,
      ),
    );
  expect(acknowledged).toEqual([true, false, true, false, true, false]);
  expect(instance.view().context).toEqual({ n: 3 });
});

test("a machine that cannot be changed runs all the same", async () => {
  const instance = await started(Object.freeze(counting(() => true)));
  await instance.send({ type: "GO" });
  expect(instance.view().context).toEqual({ n: 1 });
});

test("on a node a guard runs once for each event, the cancel included", async () => {
  let runs = 0;
  const machine = defineMachine(counting(() => ++runs > 0));
  const cluster = createMemoryCluster({ machines: [machine] });
  await cluster.addNodes("n1", "n2");
  const client = cluster.client();
  const ids = Array.from({ length: 6 }, (_, index) => `m${index}`);
  await cluster.drive(Promise.all(ids.map((id) => client.start("counting", undefined, { id }))));
  for (const id of ids) await cluster.drive(client.instance(id).send({ type: "GO" }));
  for (const id of ids) await cluster.drive(client.instance(id).send({ type: "GO" }));
  expect(runs).toBe(12);
  for (const id of ids) await cluster.drive(client.instance(id).cancel());
  expect(runs).toBe(18);
  expect(await cluster.drive(client.instance("m3").get())).toMatchObject({ value: "off", context: { n: 2 } });
});
