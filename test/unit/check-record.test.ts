import { checkRecord, defineMachine, driver, silentLogger, type Machine } from "@ergon/core";
import {
  createMachineRegistry,
  decodeFields,
  encodeRecord,
  machineEngine,
  type MachineInput,
  type RecordFields,
} from "@ergon/core/engine";
import { describe, expect, test, vi } from "vitest";
import { createMachine, fromPromise, type AnyStateMachine } from "xstate";

/** The record of an instance that has just been started. */
function recordOf(machine: Machine, change: (fields: RecordFields) => RecordFields = (fields) => fields): RecordFields {
  const input: MachineInput = { input: undefined, at: 0, retentionMs: 1_000, fingerprint: 0 };
  const { state } = machineEngine.begin(machine, input, 0, { id: "i", logger: silentLogger, onLocal: () => undefined });
  const fields = decodeFields(encodeRecord(machine, state));
  if ("kind" in fields) throw new Error(fields.reason);
  return change(fields);
}

const machineOf = (config: Parameters<typeof createMachine>[0], actors: object = {}): AnyStateMachine =>
  createMachine({ id: "m", ...config }).provide({ actors } as never);
const old = machineOf(
  {
    initial: "a",
    states: {
      a: { invoke: { id: "job", src: "job" }, after: { 1_000: "b" } },
      b: {},
    },
  },
  { job: driver("work") },
);
const record = recordOf(defineMachine(old));
const verdictOn = (...machines: readonly Machine[]) => checkRecord(record, createMachineRegistry(machines));

describe("whether a stored instance would go on", () => {
  test("a stored instance would continue with the machine that it has", () => {
    expect(verdictOn(defineMachine(old))).toEqual({ machine: "m", version: "1", state: "a", kind: "fits" });
  });

  test("an instance that a newer version takes over moves", () => {
    const next = defineMachine(machineOf({ initial: "c", states: { c: {} } }), {
      version: "2",
      migrate: { 1: () => ({ value: "c", children: {}, timers: [] }) },
    });

    expect(verdictOn(next)).toMatchObject({ kind: "moves", to: "2" });
  });

  test.for<[string, Machine, string]>([
    ["its version is gone", defineMachine(old, { version: "2" }), "machine m@1 is not known"],
    [
      "its state is gone",
      defineMachine(machineOf({ initial: "b", states: { b: {} } })),
      "State 'a' does not exist on 'm'",
    ],
    [
      "the logic of an actor inside is gone",
      defineMachine(machineOf({ initial: "a", states: { a: { after: { 1_000: "a" } } } })),
      'the logic of its actor "job" is not there any more (job)',
    ],
    [
      "a driver has become something that runs in the node",
      defineMachine(old.provide({ actors: { job: fromPromise(async () => 1) } } as never)),
      'its actor "job" was a driver or a durable machine, and is something that runs in the node now',
    ],
    [
      "its state has another timer",
      defineMachine(
        machineOf(
          { initial: "a", states: { a: { invoke: { id: "job", src: "job" }, after: { 2_000: "a" } } } },
          { job: driver("work") },
        ),
      ),
      'its state has no timer "1000.m.a"',
    ],
    [
      "its migration fails",
      defineMachine(old, { version: "2", migrate: { 1: () => ({ value: "nowhere" }) } }),
      "migration from m@1 to 2: State 'nowhere' does not exist on 'm'",
    ],
  ])("an instance breaks with the reason: %s", ([, machine, reason]) => {
    expect(verdictOn(machine)).toMatchObject({ kind: "breaks", reason: expect.stringContaining(reason) as string });
  });

  test("a check starts nothing of an instance", () => {
    const work = vi.fn<() => Promise<number>>(async () => 1);
    const local = defineMachine(
      machineOf(
        { initial: "a", states: { a: { entry: () => void work(), invoke: { src: "job" } } } },
        { job: fromPromise(work) },
      ),
    );
    const fields = recordOf(local);
    work.mockClear();

    expect(checkRecord(fields, createMachineRegistry([local]))).toMatchObject({ kind: "fits" });
    expect(work).not.toHaveBeenCalled();
  });

  test("a check passes over tasks, ended instances and Ergon's own machines", () => {
    const machines = createMachineRegistry([]);

    expect(checkRecord({ ...record, meta: undefined }, machines)).toBeUndefined();
    expect(checkRecord({ ...record, snapshot: { ...record.snapshot, status: "done" } }, machines)).toBeUndefined();
    expect(checkRecord({ ...record, machine: "schedule" }, machines)).toBeUndefined();
  });
});
