import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";

import type { Said } from "./cli.ts";

const root = path.resolve(import.meta.dirname, "../..");
const main = path.join(root, "packages/node/src/cli/main.ts");

/** How the command is called, to be put into a shell's line too. */
export const ergonCommand: readonly string[] = [
  process.execPath,
  "--conditions=@ergon/source",
  "--disable-warning=ExperimentalWarning",
  main,
];

export interface ErgonProcess {
  readonly child: ChildProcess;
  /** The lines of its standard output so far. */
  readonly lines: readonly string[];
  /** Its first line: it is ready. Throws with its standard error when it ends before. */
  readonly ready: Promise<string>;
  /** How it ended; code -1 of one that a signal killed. */
  readonly ended: Promise<Said>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts the `ergon` command as a process of its own. */
export function startErgon(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input?: string | Uint8Array,
): ErgonProcess {
  const [program = "", ...first] = ergonCommand;
  const child = spawn(program, [...first, ...args], { env: { ...process.env, NATS_URL: "", ...env }, stdio: "pipe" });
  child.stdin.on("error", () => undefined);
  if (input !== undefined) child.stdin.end(input);
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const lines: string[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString();
  const ended = once(child, "close").then(([code]: unknown[]) => ({
    code: typeof code === "number" ? code : -1,
    out: text(out),
    err: text(err),
  }));
  const line = new Promise<string>((resolve) => {
    createInterface({ input: child.stdout }).once("line", resolve);
  });
  const early = ended.then(({ err: why, code }): never => {
    throw new Error(`ergon ${args.join(" ")} ended with ${code} before it was ready:\n${why}`);
  });
  early.catch(() => undefined);
  const ready = Promise.race([line, early]);
  ready.catch(() => undefined);
  return { child, lines, ready, ended, kill: (signal) => child.kill(signal) };
}

/** Runs one command to its end. */
export function runErgon(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input: string | Uint8Array = "",
): Promise<Said> {
  return startErgon(args, env, input).ended;
}
