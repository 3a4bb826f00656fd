import path from "node:path";

import { defineMachine, type InvalidError } from "@ergon/core";
import { loadMachines, type MachineSource } from "@ergon/node";
import { readSettings } from "@ergon/node/cli";
import { describe, expect, test } from "vitest";
import { createMachine } from "xstate";

const file = (name: string): string => path.resolve(import.meta.dirname, "../support/machines", name);
const named = async (sources: readonly MachineSource[]): Promise<string[]> =>
  (await loadMachines(sources)).map(({ name, version }) => `${name}@${version}`).toSorted();
const faultsOf = async (sources: readonly MachineSource[]): Promise<readonly (readonly [string, string])[]> => {
  const error = await loadMachines(sources).catch((thrown: unknown) => thrown as InvalidError);
  expect(error).toMatchObject({ code: "INVALID_CONFIGURATION" });
  return (error as InvalidError).issues
    .map(({ field, message }) => [path.basename(field), message] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
};

describe("a node's machines", () => {
  test("a node's machines come from XState, from defineMachine, and from modules with every export that is one, lists too", async () => {
    const mine = createMachine({ id: "mine", version: "7" });

    expect(await named([mine, defineMachine(mine, { name: "yours" }), file("good.ts")])).toEqual([
      "mine@7",
      "one@2",
      "one@3",
      "plain@1",
      "yours@7",
    ]);
  });

  test("faulty machines of a node are named all at once, with their places (B-53)", async () => {
    const faults = await faultsOf([file("bad.ts"), file("none.ts"), file("throwing.ts"), file("missing.ts")]);

    expect(faults).toEqual([
      ["bad.ts (nameless)", expect.stringContaining("a name is 1 to 64 letters")],
      ["bad.ts (reserved)", expect.stringContaining("the name belongs to Ergon")],
      ["bad.ts (second)", expect.stringMatching(/^another machine twice@1 is in .*bad\.ts \(first\)/)],
      ["bad.ts (spaced)", expect.stringContaining('machine "a b"')],
      ["missing.ts", expect.stringContaining("there is no such file")],
      ["none.ts", "exports no machine; export a result of createMachine() or defineMachine()"],
      ["throwing.ts", expect.stringMatching(/^cannot be loaded: out of order at once \(.*throwing\.ts:1:7\)$/)],
    ]);
  });

  test("machines that XState refuses are named with XState's whole message, and the line of the file", async () => {
    expect(await faultsOf([file("no-target.ts")])).toEqual([
      [
        "no-target.ts",
        expect.stringMatching(
          /^cannot be loaded: Invalid transition .* Child state 'nowhere' does not exist .*no-target\.ts:3:\d+\)$/,
        ),
      ],
    ]);
  });
});

describe("the setting machines", () => {
  const read = async (env: Record<string, string>, flags: object = {}) =>
    (await readSettings({ flags: flags as Record<string, unknown>, env, scopes: ["node"] })).machines;

  test("the setting machines is a flag that may be given several times, or a variable with commas", async () => {
    expect(await read({}, { machines: ["./a.ts", "./b.ts"] })).toEqual(["./a.ts", "./b.ts"]);
    expect(await read({ ERGON_MACHINES: "./a.ts, ./b.ts" })).toEqual(["./a.ts", "./b.ts"]);
    expect(await read({})).toEqual([]);
  });

  test("the setting machines without a file is refused by its name (B-53)", async () => {
    await expect(read({ ERGON_MACHINES: "./a.ts,," })).rejects.toThrow("ERGON_MACHINES");
  });
});
