import { globSync, readdirSync } from "node:fs";
import path from "node:path";

import { expect, test } from "vitest";

import { plain, readText, root, tableRows } from "../support/documents.ts";

const page = readText("docs/architecture.md");

test.for(["core", "node"])(
  "docs/architecture.md has the folders of %s and their imports as the linter has them",
  (name) => {
    const told = tableRows(page, [`folder of ${name}`, "holds", "imports"]).map(([folder, , imports = ""]) => [
      plain(folder).replace("/", ""),
      imports === "nothing" ? [] : imports.split(", "),
    ]);

    expect(Object.fromEntries(told)).toEqual(layersOf(name));
  },
);

test.for(["core", "node"])("the linter has a layer for every folder of %s", (name) => {
  const folders = readdirSync(path.join(root, "packages", name, "src"), { withFileTypes: true });

  expect(Object.keys(layersOf(name)).toSorted()).toEqual(
    folders
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
      .toSorted(),
  );
});

test("docs/architecture.md states every law that the code cites, by its number", () => {
  const [, laws = ""] = /^## Laws$(.*?)^## /ms.exec(page) ?? [];
  const stated = [...laws.matchAll(/^(\d+)\. \*\*/gm)].map(([, number]) => Number(number));
  const cited = globSync("{packages/*/src,test}/**/*.ts", { cwd: root }).flatMap((file) =>
    [...readText(file).matchAll(/\blaws? (\d+(?:(?:, | and )\d+)*)/g)].flatMap(([, numbers = ""]) =>
      numbers.split(/, | and /).map((number) => ({ file, law: Number(number) })),
    ),
  );

  expect(stated).toEqual(stated.map((_, index) => index + 1));
  expect(cited.length).toBeGreaterThan(0);
  expect(cited.filter(({ law }) => !stated.includes(law))).toEqual([]);
});

/** The layers of a package in the linter's configuration. */
function layersOf(name: string): Readonly<Record<string, readonly string[]>> {
  const [, body = ""] =
    new RegExp(`const ${name}Layers: Layers = \\{\n(.*?)^\\};`, "ms").exec(readText("oxlint.config.ts")) ?? [];
  const rows = [...body.matchAll(/^ {2}"?([\w-]+)"?: \[(.*)\],$/gm)];
  if (rows.length === 0) throw new Error(`oxlint.config.ts has no layers of ${name}`);
  return Object.fromEntries(
    rows.map(([, folder = "", below = ""]) => [folder, [...below.matchAll(/"([\w-]+)"/g)].map(([, one = ""]) => one)]),
  );
}
