import { silentLogger, defineMachine } from "@ergon/core";
import { machineEngine, type MachineState, type Surroundings } from "@ergon/core/engine";
import { expect, test } from "vitest";
import { createMachine } from "xstate";

const machine = defineMachine(
  createMachine({ id: "child", on: { go: ".gone" }, initial: "here", states: { here: {}, gone: {} } }),
);
const surroundings: Surroundings = { id: "c", logger: silentLogger, onLocal: () => undefined };

function childOf(parent: string): MachineState {
  const input = {
    input: undefined,
    at: 1,
    retentionMs: 1,
    fingerprint: 0,
    parent: { id: parent, key: 1, sync: false },
  };
  return machineEngine.begin(machine, input, 1, surroundings).state as MachineState;
}

function told(state: MachineState, seq: number, what: object): MachineState {
  const event = { type: "ergon.told", from: "p", tell: { seq, to: "c", key: 1, what }, at: 2, chance: 0 };
  return machineEngine.step(machine, state, event).state as MachineState;
}

test.for(["later", "constructor", "__proto__"])(
  "an instance takes a message of the unknown kind %s, and nothing follows",
  (kind) => {
    const before = childOf("p");

    const after = told(before, 1, { kind });

    expect(after.meta.heard).toEqual({ p: 1 });
    expect(after.snapshot.value).toBe("here");
    expect(told(after, 2, { kind: "event", event: { type: "go" } }).snapshot.value).toBe("gone");
  },
);

test.for([
  ["news", { kind: "news", fields: { value: "x" } }],
  ["an end", { kind: "ended", ending: { kind: "done", output: 1 } }],
  ["a start", { kind: "start", child: { machine: "m" } }],
] as const)("a child does not take %s from its parent", ([, what]) => {
  const after = told(childOf("p"), 1, what);

  expect(after.meta.status).toBe("running");
  expect(after.snapshot.value).toBe("here");
});
