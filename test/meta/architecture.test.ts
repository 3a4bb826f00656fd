import { expect, test } from "vitest";

import { plain, readText, tableRows } from "../support/documents.ts";

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
