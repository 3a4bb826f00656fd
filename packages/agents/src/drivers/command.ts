import { availableParallelism } from "node:os";

import { InvalidError, RetryableError, TerminalError } from "@ergon/core";

import type { Attempt } from "../attempt.ts";
import type { DriverDefinition } from "../driver.ts";
import type { AttemptResponse } from "../response.ts";
import { startProgram } from "./program.ts";
import type { ProgramEnd } from "./program.ts";

export interface CommandDriverOptions {
  /** The driver's name. */
  readonly driver: string;
  /** The program and its arguments; no shell interprets them. */
  readonly command: readonly string[];
  /** The most programs that run at once. @defaultValue the number of processors */
  readonly concurrency?: number | undefined;
  /** Names of environment variables that the program gets, in addition to PATH, HOME, LANG and TMPDIR. @defaultValue none */
  readonly env?: readonly string[] | undefined;
  /** The program's working directory. @defaultValue that of this process */
  readonly cwd?: string | undefined;
  /** The response's content type. @defaultValue none */
  readonly contentType?: string | undefined;
  /** The most bytes of the program's standard output. @defaultValue 1 MiB */
  readonly responseLimit?: number | undefined;
  /** How long the program has between SIGTERM and SIGKILL, in milliseconds. @defaultValue 2,000 */
  readonly killAfterMs?: number | undefined;
}

const INHERITED = ["PATH", "HOME", "LANG", "TMPDIR"] as const;
const MIB = 1_048_576;
const KILL_AFTER_MS = 2_000;

/**
 * Runs a program for each attempt: the payload on its standard input, the response from its standard output, each line of
 * its standard error in the log. `ERGON_TASK`, `ERGON_ATTEMPT`, `ERGON_DRIVER`, `ERGON_RESOURCE` and `ERGON_ARGUMENTS` (JSON) are
 * in its environment.
 *
 * Exit code 0 succeeds. Any other code fails with `EXIT_<n>`, a death by a signal with `SIGNAL_<name>`, and a program that cannot be
 * started with `COMMAND_NOT_STARTED`. All of these, including 75 (`EX_TEMPFAIL`), retry by the task's retry policy
 * (`retryNever: ["EXIT_1"]` makes one final). The message ends with the last 1,024 bytes of standard error. Too much output is
 * `RESPONSE_TOO_LARGE`, final. At a deadline or a cancel, the whole process group gets SIGTERM, and SIGKILL 2 s later; no process of the
 * group outlives the attempt. The agent sends the heartbeats.
 */
export function command(options: CommandDriverOptions): DriverDefinition {
  const [program] = options.command;
  if (program === undefined || program === "") throw new InvalidError("INVALID_OPTION", "a command needs a program");
  return {
    driver: options.driver,
    concurrency: options.concurrency ?? availableParallelism(),
    heartbeats: "agent",
    handler: (attempt) => run(attempt, program, options),
  };
}

async function run(attempt: Attempt, program: string, options: CommandDriverOptions): Promise<AttemptResponse> {
  const responseLimit = options.responseLimit ?? MIB;
  const end = await startProgram({
    program,
    args: options.command.slice(1),
    env: environment(attempt, options.env ?? []),
    cwd: options.cwd,
    input: attempt.payload,
    outputLimit: responseLimit,
    killAfterMs: options.killAfterMs ?? KILL_AFTER_MS,
    signal: attempt.signal,
    onErrorLine: (line) => attempt.logger.info({ stream: "stderr" }, line),
  });
  if (attempt.signal.aborted) throw attempt.signal.reason;
  if (end.kind === "exited" && end.code === 0) return { data: end.output, contentType: options.contentType };
  throw failureOf(end, program, responseLimit);
}

function failureOf(end: ProgramEnd, program: string, responseLimit: number): Error {
  switch (end.kind) {
    case "not-started":
      return new RetryableError("COMMAND_NOT_STARTED", `${program} could not be started: ${end.reason}`);
    case "too-much-output":
      return new TerminalError("RESPONSE_TOO_LARGE", `${program} wrote more than ${responseLimit} bytes`);
    case "killed":
      return new RetryableError(
        `SIGNAL_${end.signal}`,
        withTail(`${program} was killed by ${end.signal}`, end.errorTail),
      );
    case "exited":
      return new RetryableError(`EXIT_${end.code}`, withTail(`${program} exited with ${end.code}`, end.errorTail));
  }
}

function withTail(message: string, tail: string): string {
  return tail === "" ? message : `${message}: ${tail}`;
}

function environment(attempt: Attempt, names: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of [...INHERITED, ...names]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return {
    ...env,
    ERGON_TASK: attempt.taskId,
    ERGON_ATTEMPT: String(attempt.number),
    ERGON_DRIVER: attempt.driver,
    ERGON_RESOURCE: attempt.resource ?? "",
    ERGON_ARGUMENTS: JSON.stringify(attempt.arguments),
  };
}
