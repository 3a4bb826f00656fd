import { spawnSync } from "node:child_process";
import path from "node:path";

import { numberFields } from "@ergon/core/engine";
import { expect, test } from "vitest";

import { ergon } from "../support/cli.ts";
import { readText, root, tableRows } from "../support/documents.ts";

test("the README has every command, and no other", async () => {
  const told = tableRows(readText("README.md"), ["command", "purpose"]).flatMap(([commands = ""]) =>
    [...commands.matchAll(/`(\w+)`/g)].map(([, name]) => name),
  );
  const { out } = await ergon(["--help"]);
  const printed = [...out.matchAll(/^ {2}([a-z]+)(?: \[options\])?(?: [<[][^\n]*?)? {2,}\S/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== "help");

  expect(new Set(told)).toEqual(new Set(printed));
});

test("every flag of a task has its help", async () => {
  const { out } = await ergon(["submit", "--help"]);

  expect(out).toContain("longest run of one attempt");
  expect(numberFields.filter(({ path: option }) => out.includes(`${option} (default`))).toEqual([]);
});

test("./ergon runs from any folder, and takes files relative to it", () => {
  const folder = path.join(root, "examples");
  const { status, stderr } = spawnSync("../ergon", ["check", "--machines", "./nothing.ts"], { cwd: folder });

  expect(status).toBe(2);
  expect(stderr.toString()).toContain(path.join(folder, "nothing.ts"));
});

test("docs/drivers.md has every driver that comes with Ergon", async () => {
  const { err } = await ergon(["agent"]);
  const [, shipped = ""] = /add --driver with (.+), or with a name and a program/.exec(err) ?? [];
  const page = readText("docs/drivers.md");
  const [, simple = ""] = /^## (echo, .+)$/m.exec(page) ?? [];
  const told = [...simple.split(", "), ...(/^## http$/m.test(page) ? ["http"] : [])];

  expect(new Set(told)).toEqual(new Set(shipped.split(", ")));
});
