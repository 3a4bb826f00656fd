import { readFileSync } from "node:fs";
import path from "node:path";

import { exitCodes, settings } from "@ergon/node/cli";
import { expect, test } from "vitest";

const operations = readFileSync(path.resolve(import.meta.dirname, "../../docs/operations.md"), "utf8");

/** The rows of a table under a heading, by their cells without markup. */
const rowsUnder = (heading: string): readonly (readonly string[])[] => {
  const [, section = ""] = operations.split(`\n## ${heading}\n`);
  const [own = ""] = section.split("\n## ");
  const rows = own.split("\n").filter((line) => line.startsWith("| "));
  return rows.slice(1).map((row) => row.split(" | ").map((cell) => cell.replace(/^\| | \|$|`/g, "")));
};

const who = { connection: "all", service: "dev, node, agent", node: "dev, node" } as const;

test("docs/operations.md lists every setting by key, flag, variable and who takes it", () => {
  const documented = rowsUnder("Settings").map((cells) => cells.slice(0, 4));

  expect(documented).toEqual(
    settings.map(({ key, flag, env, scope }) => [key, flag.split(" ", 1)[0], env[0], who[scope]]),
  );
});

test("docs/operations.md lists every exit code", () => {
  expect(rowsUnder("Exit codes")).toEqual(Object.values(exitCodes).map(({ code, summary }) => [String(code), summary]));
});
