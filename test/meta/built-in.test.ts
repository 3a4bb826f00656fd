import { defineMachine } from "@ergon/core";
import { builtInMachines, builtInNames, reservedNames } from "@ergon/core/engine";
import { expect, test } from "vitest";
import { createMachine } from "xstate";

import { ergon } from "../support/cli.ts";
import { readText, tableRows } from "../support/documents.ts";

test("the list of built-in machines has a machine for each built-in name, under that name", () => {
  expect(builtInMachines.map(({ name }) => name).toSorted()).toEqual([...builtInNames].toSorted());
});

test.for(reservedNames)("no machine of a user can be called %s", (id) => {
  expect(() => defineMachine(createMachine({ id }))).toThrow(/the name belongs to Ergon/);
});

test("the guide of machines lists the reserved names, and no others", () => {
  const [, list = ""] = /These names belong to Ergon[^:]*: ([^.]+)\./.exec(readText("docs/machines.md")) ?? [];

  expect(list.split(", ").toSorted()).toEqual(reservedNames.map((name) => `\`${name}\``).toSorted());
});

test("the glossary names the built-in machines", () => {
  const rows = tableRows(readText("docs/glossary.md"), ["word", "meaning"]);
  const [, text = ""] = rows.find(([word]) => word === "machine, machine version") ?? [];
  const [, named = ""] = /Ergon brings ([^.]+)\./.exec(text) ?? [];

  expect(named.match(/\w+(?=`)/g)?.toSorted()).toEqual([...builtInNames].toSorted());
});

test.for(builtInNames.filter((name) => name !== "task"))("the command line has a command %s", async (name) => {
  const { out } = await ergon([name, "--help"]);

  expect(out).toContain(`Usage: ergon ${name}`);
});
