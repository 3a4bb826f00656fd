import { readdirSync } from "node:fs";
import path from "node:path";

import { expect, test } from "vitest";

import { readText, root, tableRows } from "../support/documents.ts";

const page = readText("docs/operations.md");

/** The source of every package, as one text. */
const sources = readdirSync(path.join(root, "packages"))
  .flatMap((name) =>
    readdirSync(path.join(root, "packages", name, "src"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => readText(`packages/${name}/src/${file}`)),
  )
  .join("\n");

/** The log lines that the page explains. A line that ends with "…" is the beginning of one. */
const explained = tableRows(page, ["line", "cause, and what to do"])
  .flatMap(([cell = ""]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, line = ""]) => line))
  .map((line) => ({ line, beginning: line.endsWith("…"), text: line.replace(/…$/, "").trimEnd() }));

test("docs/operations.md names only log lines that the code writes", () => {
  const quoted = [...page.matchAll(/\blogs? `([^`]+)`/g)].map(([, text = ""]) => text);
  const named = [...explained.map(({ text }) => text), ...quoted];

  expect(quoted.length).toBeGreaterThan(3);
  expect(named.filter((text) => !sources.includes(`"${text}`) && !sources.includes(`\`${text}`))).toEqual([]);
});

test("docs/operations.md explains every warning and error of the log", () => {
  // A call of the logger ends with its text, alone or before the closing parenthesis of the next line.
  const calls = sources.matchAll(/logger\.(?:warn|error)\((?:[^()]|\([^()]*\))*?"([^"]+)",?\s*\)/g);
  const written = new Set([...calls].map(([, text = ""]) => text));

  expect(written.size).toBeGreaterThan(30);
  expect(
    [...written].filter(
      (line) => !explained.some(({ text, beginning }) => (beginning ? line.startsWith(text) : line === text)),
    ),
  ).toEqual([]);
});

test("docs/operations.md explains only reasons of waiting tasks that the code gives", () => {
  const rows = tableRows(page, ["`reason`", "action"]);
  const reasons = rows.flatMap(([cell = ""]) => /^`([^`]+)`$/.exec(cell)?.[1] ?? []);

  expect(reasons.length).toBeGreaterThan(3);
  // `X` stands for a driver, `S` for a subject, and the code counts the agents.
  const parts = reasons.flatMap((reason) => reason.split(/\b(?:X|S|n agents)\b/));
  expect(parts.filter((part) => !sources.includes(part))).toEqual([]);
});
