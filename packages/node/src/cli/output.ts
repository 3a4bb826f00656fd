import { createColors } from "picocolors";

import { visible, visibleJson } from "../visible.ts";
import type { Io } from "./io.ts";
import { layOut } from "./table.ts";
import { columnsOf, wrapText } from "./wrap.ts";

/** The colour of a cell on a terminal. */
export type Paint = "dim" | "bold" | "green" | "red" | "yellow" | "cyan";

export interface Cell {
  readonly text: string;
  readonly paint?: Paint | undefined;
}

/**
 * Standard output and standard error of one command. Only terminals get tables and colours, and other readers get tabs. Control characters in
 * texts from tasks and agents are escaped, so that a terminal never executes them.
 */
export interface Output {
  readonly json: boolean;
  /** Prints the parts with a space between them. */
  line(...parts: readonly (string | Cell)[]): void;
  /** Prints one JSON value on one line. */
  value(value: unknown): void;
  /** Prints bytes unchanged, or as text on a terminal. */
  bytes(data: Uint8Array): void;
  /**
   * Prints rows under a head, no wider than the terminal. If the output is not a terminal, it prints the rows without the head, and with tabs between
   * the cells.
   */
  table(head: readonly string[], rows: readonly (readonly Cell[])[]): void;
  /** Prints a message for people to standard error. On a terminal it breaks lines between words. */
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
      // Begin a new line, so that the prompt of the terminal stands alone.
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
