import { readdirSync } from "node:fs";
import path from "node:path";

import { expect, test } from "vitest";

import { readText, root, tableRows } from "../support/documents.ts";

const folder = "docs/adr";
const statuses = ["Proposed", "Accepted", "Superseded", "Template"];

interface Decision {
  readonly file: string;
  readonly number: string;
  readonly title: string;
  readonly header: Readonly<Record<string, string>>;
  readonly text: string;
}

const decisions = readdirSync(path.join(root, folder))
  .filter((file) => /^\d{4}-/.test(file))
  .toSorted()
  .map((file): Decision => {
    const text = readText(`${folder}/${file}`);
    const [, number = "", title = ""] = /^# (\d{4}): (.+)$/m.exec(text) ?? [];
    const header = Object.fromEntries(tableRows(text, ["", ""]).map(([name = "", value = ""]) => [name, value]));
    return { file, number, title, header, text };
  });

test("decisions are numbered without a gap, in file and title alike", () => {
  expect(decisions.map(({ number }) => number)).toEqual(decisions.map((_, index) => String(index).padStart(4, "0")));
  for (const { file, number } of decisions) expect(file).toMatch(new RegExp(`^${number}-[a-z0-9-]+\\.md$`));
});

test("each decision has a head that can be read, and the parts of the template", () => {
  const parts = decisions.map(({ file, header, text }) => ({
    file,
    head: Object.keys(header),
    date: /^\d{4}-\d{2}-\d{2}$/.test(header["Date"] ?? ""),
    status: statuses.includes(header["Status"] ?? ""),
    parts: [...text.matchAll(/^## (.+)$/gm)].map(([, part]) => part),
  }));

  expect(parts).toEqual(
    decisions.map(({ file }) => ({
      file,
      head: ["Date", "Status", "Requires", "Supersedes"],
      date: true,
      status: true,
      parts: ["Context", "Decision", "Consequences"],
    })),
  );
});

test("every decision that another one requires or supersedes exists, and a superseded one says so", () => {
  const byNumber = new Map(decisions.map((decision) => [decision.number, decision]));
  const faults = decisions
    .filter(({ header }) => header["Status"] !== "Template")
    .flatMap(({ file, header }) => {
      const required = [...(header["Requires"] ?? "").matchAll(/ADR (\d{4})/g)].map(([, number = ""]) => number);
      const superseded = [...(header["Supersedes"] ?? "").matchAll(/\d{4}/g)].map(([number]) => number);
      return [
        ...required.filter((number) => !byNumber.has(number)).map((number) => `${file} requires ${number}`),
        ...superseded
          .filter((number) => byNumber.get(number)?.header["Status"] !== "Superseded")
          .map((number) => `${file} supersedes ${number}`),
      ];
    });

  expect(faults).toEqual([]);
});

test("the index has every decision with its title and status", () => {
  const told = tableRows(readText(`${folder}/README.md`), ["number", "decision", "status"]);

  expect(told).toEqual(
    decisions
      .slice(1)
      .map(({ file, number, title, header }) => [`[${number}](${file})`, title, header["Status"] ?? ""]),
  );
});

test("decisions that the code names exist", () => {
  const known = new Set(decisions.map(({ number }) => number));
  const named = readdirSync(path.join(root, "packages"), { recursive: true, encoding: "utf8" })
    .filter((file) => /^[a-z]+\/src\/.*\.ts$/.test(file))
    .flatMap((file) => [...readText(`packages/${file}`).matchAll(/ADR-(\d{4})/g)].map(([, number = ""]) => number));

  expect(named.filter((number) => !known.has(number))).toEqual([]);
});
