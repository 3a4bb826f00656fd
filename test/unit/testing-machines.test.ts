// What the test kit takes for a machine: the same as a node does.
import { defineMachine, driver, machine, type MachineLogic } from "@ergon/core";
import { createTestInstance, explore } from "@ergon/core/testing";
import { expect, test } from "vitest";
import { createMachine, setup } from "xstate";

const parcel = createMachine({ id: "parcel", initial: "sent", states: { sent: { type: "final" } } });

const order = setup({
  actors: { payment: driver("payments"), parcel: machine("parcel") },
}).createMachine({
  id: "order",
  initial: "paying",
  states: {
    paying: { invoke: { src: "payment", onDone: "sending" } },
    sending: { invoke: { src: "parcel", onDone: "done" } },
    done: { type: "final" },
  },
});

test.for([
  ["plain machines", order, parcel],
  ["machines of defineMachine", defineMachine(order), defineMachine(parcel)],
] as const)("%s are run, and looked at whole", async ([, given, beside]) => {
  const one = await createTestInstance(given, { machines: [beside], agents: { payments: () => "paid" } });
  expect(one.view()).toMatchObject({ machine: "order", status: "succeeded" });
  one.close();

  const { ends } = await explore(given, { machines: [beside], agents: { payments: [{ output: "paid" }] } });
  expect(ends).toHaveLength(1);
});

test.for([
  ["nothing", undefined],
  ["a state's configuration", { id: "order", definition: {} }],
  ["an actor's logic", driver("payments")],
] as const)("%s is no machine: the error names the field", async ([, none]) => {
  const given = none as unknown as MachineLogic;
  const refusal = (field: string) => ({ code: "INVALID_CONFIGURATION", issues: [expect.objectContaining({ field })] });

  await expect(createTestInstance(given)).rejects.toMatchObject(refusal("machine"));
  await expect(explore(given)).rejects.toMatchObject(refusal("machine"));
  await expect(createTestInstance(order, { machines: [given] })).rejects.toMatchObject(refusal("machines[0]"));
});
