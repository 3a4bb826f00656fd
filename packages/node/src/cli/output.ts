import Table from "cli-table3";
import { createColors } from "picocolors";

import type { Io } from "./io.ts";

/** How a cell is coloured on a terminal. */
export type Paint = "dim" | "bold" | "green" | "red" | "yellow" | "cyan";

export interface Cell {
  readonly text: string;
  readonly paint?: Paint | undefined;
}

/** Standard output and standard error of one command. Tables and colours are for terminals; others get tabs. */
export interface Output {
  readonly json: boolean;
  line(text: string): void;
  /** One JSON value on one line. */
  value(value: unknown): void;
  /** Bytes as they are. */
  bytes(data: Uint8Array): void;
  /** Rows under a head; elsewhere than on a terminal without it, the cells between tabs. */
  table(head: readonly string[], rows: readonly (readonly Cell[])[]): void;
  /** For people, to standard error. */
  note(text: string): void;
  paint(text: string, paint: Paint | undefined): string;
}

const noBorders = {
  ...{
    top: "",
    "top-mid": "",
    "top-left": "",
    "top-right": "",
    bottom: "",
    "bottom-mid": "",
    "bottom-left": "",
    "bottom-right": "",
  },
  ...{ left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "", middle: "" },
};

export function createOutput(io: Io, json: boolean): Output {
  const { stdout, stderr, env } = io;
  const terminal = stdout.isTTY === true;
  const colors = createColors(terminal && !env["NO_COLOR"] && env["TERM"] !== "dumb");
  const paint = (text: string, color: Paint | undefined): string => (color === undefined ? text : colors[color](text));

  return {
    json,
    line: (text) => void stdout.write(`${text}\n`),
    value: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    bytes: (data) => {
      stdout.write(data);
      // The prompt of a terminal begins a line of its own.
      if (terminal && data.length > 0 && data.at(-1) !== 0x0a) stderr.write("\n");
    },
    table: (head, rows) => {
      if (!terminal) {
        for (const row of rows) stdout.write(`${row.map((cell) => cell.text.replace(/[\t\n]/g, " ")).join("\t")}\n`);
        return;
      }
      const table = new Table({
        head: head.map((text) => colors.dim(text)),
        chars: noBorders,
        style: { head: [], border: [], "padding-left": 0, "padding-right": 2 },
      });
      for (const row of rows) table.push(row.map((cell) => paint(cell.text, cell.paint)));
      stdout.write(`${trimLines(table.toString())}\n`);
    },
    note: (text) => void stderr.write(`${text}\n`),
    paint,
  };
}

function trimLines(text: string): string {
  return text.replace(/ +$/gm, "");
}
