import { globSync } from "node:fs";

import { expect, test } from "vitest";

import { idsIn, readScenarios } from "../../scripts/scenarios/list.ts";
import { readText, root } from "../support/documents.ts";

const groups = readScenarios(readText("test/scenarios.txt"));
const scenarios = groups.flatMap((group) => group.scenarios);
const letters = new Set(groups.map(({ letter }) => letter));

test("the tests name only scenarios that are on the list and not left out", () => {
  const wanted = new Set(scenarios.filter(({ leftOut }) => !leftOut).map(({ id }) => id));
  const files = globSync("test/*/**/*.test.ts", { cwd: root });

  const unknown = files.flatMap((file) =>
    idsIn(readText(file), letters)
      .filter((id) => !wanted.has(id))
      .map((id) => `${file}: ${id}`),
  );

  expect(files).not.toEqual([]);
  expect(unknown).toEqual([]);
});

test("a number of a scenario may end with a letter, and a title may name several", () => {
  expect(idsIn("an unknown status is kept (U-96a, U-100), and warned of (U-96a)", letters)).toEqual(["U-96a", "U-100"]);
  expect(idsIn("UTF-8 and SHA-256 are no scenarios, nor is Z-1", letters)).toEqual([]);
});

test.each([
  ["B Boltzmann\nB-1 a task runs\nB-1 a task runs again", "line 3: B-1 stands on the list twice"],
  ["B Boltzmann\nB1 a task runs", "line 2 is no scenario: B1 a task runs"],
  ["B Boltzmann\nO-1 a service runs", "line 2 is no scenario: O-1 a service runs"],
  ["B-1 a task runs", "line 1 is no scenario: B-1 a task runs"],
])("the list %j is refused", (text, message) => {
  expect(() => readScenarios(text)).toThrow(message);
});

test("a scenario that is left out has its reason", () => {
  const [group] = readScenarios("# a comment\n\nB Boltzmann\n-B-1 Ergon has no such layer\nB-4 a batch");

  expect(group?.scenarios).toEqual([
    { id: "B-1", text: "Ergon has no such layer", leftOut: true },
    { id: "B-4", text: "a batch", leftOut: false },
  ]);
});
