// The time of short commands, beside a Node that does nothing.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";

import { root } from "../support/documents.ts";
import { median } from "./percentiles.ts";
import { settings, startStage } from "./stage.ts";

const run = promisify(execFile);
const ROUNDS = 15;

export interface CommandTime {
  readonly command: string;
  /** Milliseconds from start to end: the median of all rounds. */
  readonly ms: number;
  /** How many times as long as `node -e 0`. */
  readonly ratio: number;
}

/** Runs the commands of `./ergon` in turn with `node -e 0`, so that other load of the machine falls on all of them. */
export async function measureCommands(): Promise<readonly CommandTime[]> {
  const [setting] = settings;
  if (setting === undefined) throw new Error("no setting to measure commands with");
  const stage = await startStage(setting);
  await stage.node();
  const ergon = path.join(root, "ergon");
  const env = { ...process.env, NATS_URL: stage.urls };
  const { stdout } = await run(ergon, ["submit", "nobody"], { env });
  const commands = [
    [process.execPath, "-e", "0"],
    [ergon, "--help"],
    [ergon, "get", stdout.trim()],
    [ergon, "ls"],
  ] as const;
  const times = commands.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++)
    for (const [at, [program, ...args]] of commands.entries()) {
      const start = performance.now();
      await run(program, args, { env });
      times[at]?.push(performance.now() - start);
    }
  await stage.stop();
  const medians = times.map(median);
  return commands.map(([program, ...args], at) => ({
    command: [path.basename(program), args[0]].join(" "),
    ms: medians[at] ?? 0,
    ratio: (medians[at] ?? 0) / (medians[0] ?? 1),
  }));
}

export function printCommands(times: readonly CommandTime[]): void {
  for (const { command, ms, ratio } of times)
    process.stdout.write(
      `${command.padEnd(14)} ${ms.toFixed(0).padStart(6)} ms  ${ratio.toFixed(1).padStart(5)} x node -e 0\n`,
    );
}
