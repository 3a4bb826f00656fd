import { spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { StringDecoder } from "node:string_decoder";

import { messageOf } from "@ergon/core";

export interface ProgramOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly input: Uint8Array;
  readonly outputLimit: number;
  readonly killAfterMs: number;
  readonly signal: AbortSignal;
  readonly onErrorLine: (line: string) => void;
}

export type ProgramEnd =
  | { readonly kind: "exited"; readonly code: number; readonly output: Uint8Array; readonly errorTail: string }
  | { readonly kind: "killed"; readonly signal: string; readonly errorTail: string }
  | { readonly kind: "too-much-output" }
  | { readonly kind: "not-started"; readonly reason: string };

const TAIL_BYTES = 1_024;
const LINE_CHARACTERS = 4_096;

/** Runs a program in a process group of its own. When it resolves, no process of the group is left. It waits for no other process. Never rejects. */
export function startProgram(options: ProgramOptions): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    let child: ChildProcessWithoutNullStreams;
    try {
      const { program, args, env, cwd } = options;
      child = spawn(program, args, { env, ...(cwd === undefined ? {} : { cwd }), detached: true, stdio: "pipe" });
    } catch (error) {
      resolve({ kind: "not-started", reason: messageOf(error) });
      return;
    }
    const { signal, killAfterMs } = options;
    const group = new ProcessGroup(child, killAfterMs);
    const output = collectOutput(child, options.outputLimit, () => group.stop());
    const errorTail = followErrors(child, options.onErrorLine);
    const stop = (): void => group.stop();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    // A program may ignore its input.
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input);
    // Processes that the program leaves behind in its group keep the pipes open: they get the same time as after a SIGTERM.
    child.once("exit", () => group.killLater());
    child.once("error", (error) => finish({ kind: "not-started", reason: error.message }));
    child.once("close", (code, by) => {
      if (output.exceeded()) finish({ kind: "too-much-output" });
      else if (by !== null) finish({ kind: "killed", signal: by, errorTail: errorTail() });
      else finish({ kind: "exited", code: code ?? -1, output: output.read(), errorTail: errorTail() });
    });
    const finish = (end: ProgramEnd): void => {
      signal.removeEventListener("abort", stop);
      group.end();
      resolve(end);
    };
  });
}

class ProcessGroup {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #killAfterMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(child: ChildProcessWithoutNullStreams, killAfterMs: number) {
    this.#child = child;
    this.#killAfterMs = killAfterMs;
  }

  stop(): void {
    this.#send("SIGTERM");
    this.killLater();
  }

  killLater(): void {
    this.#timer ??= setTimeout(() => this.#kill(), this.#killAfterMs);
  }

  /** Kills processes that have closed the program's output and still run. */
  end(): void {
    clearTimeout(this.#timer);
    this.#send("SIGKILL");
  }

  /** A process that has left the group survives, and may keep the pipes open: after the program's own output, nothing more is read. */
  #kill(): void {
    this.#send("SIGKILL");
    this.#timer = setTimeout(() => {
      this.#child.stdout.destroy();
      this.#child.stderr.destroy();
    }, this.#killAfterMs);
  }

  #send(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The group has ended already.
    }
  }
}

function collectOutput(child: ChildProcessWithoutNullStreams, limit: number, exceed: () => void) {
  const chunks: Buffer[] = [];
  let size = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    const before = size;
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
    else if (before <= limit) exceed();
  });
  return { exceeded: () => size > limit, read: () => Buffer.concat(chunks) };
}

function followErrors(child: ChildProcessWithoutNullStreams, onLine: (line: string) => void): () => string {
  const decoder = new StringDecoder();
  let tail = Buffer.alloc(0);
  let rest = "";
  child.stderr.on("data", (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-TAIL_BYTES);
    const lines = (rest + decoder.write(chunk)).split("\n");
    rest = lines.pop() ?? "";
    // A line without an end is logged in pieces, so that it cannot fill this process's memory.
    if (rest.length > LINE_CHARACTERS) {
      lines.push(rest);
      rest = "";
    }
    for (const line of lines) onLine(line.slice(0, LINE_CHARACTERS));
  });
  child.stderr.on("end", () => {
    if (rest !== "") onLine(rest);
  });
  return () => tail.toString().trim();
}
