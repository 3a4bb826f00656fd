import { spawn, type ChildProcess } from "node:child_process";
import path from "node:path";

export interface Program {
  readonly process: ChildProcess;
  /** Everything that it has written to its standard output, and to standard error. */
  readonly output: () => string;
  readonly errors: () => string;
  /** Resolves once it has written `text`. */
  writes(text: string): Promise<void>;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
  /** `kill -9`; resolves when it is gone. */
  kill(): Promise<void>;
}

const root = path.resolve(import.meta.dirname, "../..");

/** Runs a TypeScript program of this checkout from its source. It is ours to end: `kill` it after the test. */
export function runProgram(
  file: string,
  env: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Program {
  const node = ["--conditions=@ergon/source", "--disable-warning=ExperimentalWarning", ...flags];
  return runCommand(process.execPath, [...node, path.join(root, file)], env);
}

/** Runs a program that is not of this checkout. It is ours to end: `kill` it after the test. */
export function runCommand(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Program {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const ended = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  return {
    process: child,
    output: () => output,
    errors: () => errors,
    writes: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (output.includes(text)) resolve();
        };
        look();
        child.stdout.on("data", look);
        void ended.then((code) =>
          reject(new Error(`${args.join(" ")} ended with ${code} before it wrote "${text}":\n${errors}`)),
        );
      }),
    ended,
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
