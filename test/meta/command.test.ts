import { exitCodes, settings } from "@ergon/node/cli";
import { expect, test } from "vitest";

import { ergon } from "../support/cli.ts";
import { plain, readText, tableRows } from "../support/documents.ts";

const page = readText("docs/operations.md");
const scopes = { connection: "all", service: "dev, node, agent", node: "dev, node" } as const;

test("docs/operations.md has every exit code", () => {
  expect(tableRows(page, ["code", "what"])).toEqual(
    Object.values(exitCodes).map(({ code, summary }) => [String(code), summary]),
  );
});

test("docs/operations.md has every setting with its flag, its variable and those who take it", () => {
  const told = tableRows(page, ["key", "flag", "environment", "who"]).map(([key, flag, variable, who]) => ({
    key: plain(key),
    flag: plain(flag),
    variable: plain(variable),
    who,
  }));

  expect(told).toEqual(
    settings.map(({ key, flag, env, scope }) => ({
      key,
      flag: flag.split(" ", 1)[0],
      variable: env[0],
      who: scopes[scope],
    })),
  );
});

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
