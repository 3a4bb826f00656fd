import { fill } from "./wrap.ts";

const GAP = 2;
/** The least width of a column of text. */
const LEAST_WIDTH = 16;

interface TableCell {
  readonly text: string;
  /** The text to print instead, with the same visible length. */
  readonly paint: (text: string) => string;
}

type Row = readonly TableCell[];

/**
 * Lays rows out below a head for a terminal. If they are too wide, it breaks the widest columns of several words between words. If that is not enough, each
 * row becomes a block with a line for each of its cells. It breaks no word.
 */
export function layOut(head: Row, rows: readonly Row[], columns: number): string {
  const widths = fittingWidths([head, ...rows], columns);
  if (widths === undefined) return blocks(head, rows, columns);
  return [head, ...rows].flatMap((row) => linesOf(row, widths)).join("\n");
}

/** Makes lines from a row. A cell that is too wide for its column continues on the next line. */
function linesOf(row: Row, widths: readonly number[]): readonly string[] {
  const columns = row.map(({ text }, at) => text.split("\n").flatMap((part) => [...fill(part, widths[at] ?? 0)]));
  const height = Math.max(...columns.map((parts) => parts.length));
  return Array.from({ length: height }, (_, line) =>
    row
      .map(({ paint }, at) => {
        const part = columns[at]?.[line] ?? "";
        return (part === "" ? "" : paint(part)) + " ".repeat((widths[at] ?? 0) - part.length + GAP);
      })
      .join("")
      .replace(/ +$/, ""),
  );
}

/** Returns the widths of the columns, or `undefined` if the rows do not fit without breaking words. */
function fittingWidths(rows: readonly Row[], columns: number): readonly number[] | undefined {
  const widths = widthsOf(rows, (text) => text.length);
  const longestWords = widthsOf(rows, (text) => Math.max(...text.split(/\s/).map((word) => word.length)));
  for (;;) {
    const over = widths.reduce((sum, width) => sum + width + GAP, -GAP) - columns;
    if (over <= 0) return widths;
    const [widest] = widths
      .map((width, at) => ({ at, width, floor: Math.max(longestWords[at] ?? 0, Math.min(width, LEAST_WIDTH)) }))
      .filter(({ width, floor }) => width > floor)
      .toSorted((one, other) => other.width - one.width);
    if (widest === undefined) return undefined;
    widths[widest.at] = Math.max(widest.floor, widest.width - over);
  }
}

function widthsOf(rows: readonly Row[], widthOf: (text: string) => number): number[] {
  return (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => widthOf(row[at]?.text ?? ""))));
}

/** Makes blocks from rows. Each cell that is not empty follows its head. */
function blocks(head: Row, rows: readonly Row[], columns: number): string {
  const margin = Math.max(...head.map(({ text }) => text.length)) + GAP;
  const blockOf = (row: Row): string =>
    row
      .flatMap((cell, at) => {
        if (cell.text === "") return [];
        const title = head[at] ?? { text: "", paint: (text: string) => text };
        const begin = painted(title) + " ".repeat(margin - title.text.length);
        return [...fill(cell.text, columns - margin)].map(
          (part, line) => (line === 0 ? begin : " ".repeat(margin)) + cell.paint(part),
        );
      })
      .join("\n");
  return rows.map(blockOf).join("\n\n");
}

function painted({ text, paint }: TableCell): string {
  return paint(text);
}
