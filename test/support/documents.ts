import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

export const root = path.resolve(import.meta.dirname, "../..");

/** The pages that people read, by their paths from the root. */
export const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(path.join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => `docs/${file}`),
];

/** A file of the checkout, by its path from the root. */
export function readText(file: string): string {
  return readFileSync(path.join(root, file), "utf8");
}

/** The rows of every Markdown table whose head begins with these cells, without the head. Cells keep their marks. */
export function tableRows(text: string, head: readonly string[]): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let isInside = false;
  for (const line of text.split("\n")) {
    if (!line.startsWith("|")) {
      isInside = false;
      continue;
    }
    const cells = line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim());
    if (head.every((title, index) => cells[index] === title)) isInside = true;
    else if (isInside && !cells.every((cell) => /^-+$/.test(cell))) rows.push(cells);
  }
  return rows;
}

/** What stands between the first back-ticks of a cell, or the cell itself. */
export function plain(cell: string | undefined): string {
  return /`([^`]*)`/.exec(cell ?? "")?.[1] ?? cell ?? "";
}

/** A heading's anchor, as GitHub makes it. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}
