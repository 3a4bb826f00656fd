import { createColors } from "picocolors";

import { visible, visibleJson } from "../visible.ts";
import type { Io } from "./io.ts";
import { layOut } from "./table.ts";
import { columnsOf, wrapText } from "./wrap.ts";

/** How a cell is coloured on a terminal. */
export type Paint = "dim" | "bold" | "green" | "red" | "yellow" | "cyan";

export interface Cell {
  readonly text: string;
  readonly paint?: Paint | undefined;
}

/**
 * Standard output and standard error of one command. Tables and colours are for terminals; others get tabs. Control characters in
 * texts from tasks and agents are escaped, so that a terminal never executes them.
 */
export interface Output {
  readonly json: boolean;
  /** The parts with a space between them. */
  line(...parts: readonly (string | Cell)[]): void;
  /** One JSON value on one line. */
  value(value: unknown): void;
  /** Bytes as they are; on a terminal as the text that they are. */
  bytes(data: Uint8Array): void;
  /** Rows under a head, no wider than the terminal; elsewhere than on a terminal without it, the cells between tabs. */
  table(head: readonly string[], rows: readonly (readonly Cell[])[]): void;
  /** For people, to standard error; on a terminal broken between words. */
  note(text: string): void;
}

export function createOutput(io: Io, json: boolean): Output {
  const { stdout, stderr, env } = io;
  const terminal = stdout.isTTY === true;
  const colors = createColors(terminal && !env["NO_COLOR"] && env["TERM"] !== "dumb");
  const paint = ({ text, paint: color }: Cell): string =>
    color === undefined ? visible(text) : colors[color](visible(text));

  return {
    json,
    line: (...parts) =>
      void stdout.write(`${parts.map((part) => paint(typeof part === "string" ? { text: part } : part)).join(" ")}\n`),
    value: (value) => void stdout.write(`${visibleJson(JSON.stringify(value))}\n`),
    bytes: (data) => {
      stdout.write(terminal ? visible(Buffer.from(data).toString()) : data);
      // The prompt of a terminal begins a line of its own.
      if (terminal && data.length > 0 && data.at(-1) !== 0x0a) stderr.write("\n");
    },
    table: (head, rows) => {
      if (!terminal) {
        for (const row of rows)
          stdout.write(`${row.map((cell) => visible(cell.text.replace(/[\t\n]/g, " "))).join("\t")}\n`);
        return;
      }
      const paintedAs = ({ text, paint: color }: Cell) => ({
        text: visible(text),
        paint: (part: string) => (color === undefined ? part : colors[color](part)),
      });
      const titles = head.map((text) => paintedAs({ text, paint: "dim" }));
      stdout.write(
        `${layOut(
          titles,
          rows.map((row) => row.map(paintedAs)),
          columnsOf(stdout),
        )}\n`,
      );
    },
    note: (text) => {
      const shown = visible(text);
      stderr.write(`${stderr.isTTY === true ? wrapText(shown, columnsOf(stderr)) : shown}\n`);
    },
  };
}
