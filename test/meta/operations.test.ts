import { readdirSync } from "node:fs";
import path from "node:path";

import { expect, test } from "vitest";

import { readText, root, tableRows } from "../support/documents.ts";

/** The source of every package, as one text. */
const sources = readdirSync(path.join(root, "packages"))
  .flatMap((name) =>
    readdirSync(path.join(root, "packages", name, "src"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => readText(`packages/${name}/src/${file}`)),
  )
  .join("\n");

test("docs/operations.md explains only log lines that the code writes", () => {
  const rows = tableRows(readText("docs/operations.md"), ["line", "cause, and what to do"]);
  const lines = rows.flatMap(([cell = ""]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, line = ""]) => line));

  expect(lines.length).toBeGreaterThan(15);
  // A line that ends with "…" is the beginning of one.
  expect(lines.filter((line) => !sources.includes(`"${line.replace(/…$/, "").trimEnd()}`))).toEqual([]);
});

test("docs/operations.md explains only reasons of waiting tasks that the code gives", () => {
  const rows = tableRows(readText("docs/operations.md"), ["`reason`", "action"]);
  const reasons = rows.flatMap(([cell = ""]) => /^`([^`]+)`$/.exec(cell)?.[1] ?? []);

  expect(reasons.length).toBeGreaterThan(3);
  // `X` stands for a driver, `S` for a subject, and the code counts the agents.
  const parts = reasons.flatMap((reason) => reason.split(/\b(?:X|S|n agents)\b/));
  expect(parts.filter((part) => !sources.includes(part))).toEqual([]);
});
