import { expect, test } from "vitest";

import { ergon } from "../support/cli.ts";
import { readText, tableRows } from "../support/documents.ts";

test("the README has every command, and no other", async () => {
  const told = tableRows(readText("README.md"), ["command", "what"]).flatMap(([commands = ""]) =>
    [...commands.matchAll(/`(\w+)`/g)].map(([, name]) => name),
  );
  const { out } = await ergon(["--help"]);
  const printed = [...out.matchAll(/^ {2}([a-z]+)(?: \[options\])?(?: [<[][^\n]*?)? {2,}\S/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== "help");

  expect(new Set(told)).toEqual(new Set(printed));
});
