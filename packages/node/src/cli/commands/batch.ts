import { InvalidError, type BatchEntry, type Client, type Issue, type TaskRequest } from "@ergon/core";
import type { Command } from "commander";

import { exitCodeOfTask } from "../ended.ts";
import { exitCodes } from "../exit-codes.ts";
import type { Output } from "../output.ts";
import { readInput, readStdin } from "../payload.ts";
import type { Cli } from "../session.ts";

const examples = `
Each line is a task: {"driver": "echo", "payload": {"n": 1}, "tags": ["red"], "attemptTimeout": "30s"}

Examples:
  seq 100 | jq -c '{driver: "echo", payload: .}' | ergon batch
  ergon batch tasks.ndjson --no-wait | jq -r .id

Prints each task as it ends, one JSON object a line; with --no-wait each as it was stored.
Exit code 1 when one of them has failed.`;

interface Flags {
  readonly wait: boolean;
  readonly correlationId?: string;
  readonly requireAgents?: boolean;
}

/** Waits under way at once; the others' tasks go on all the same. */
const WAITS = 500;

export function batch(program: Command, cli: Cli): void {
  program
    .command("batch")
    .summary("store many tasks, all or none")
    .description("Stores the tasks in a file, or on standard input, all of them or none.")
    .argument("[file]", "a JSON object a line (default: standard input)")
    .option("--no-wait", "don't wait until they have ended")
    .option("--correlation-id <id>", "what the tasks share; made up when absent")
    .option("--require-agents", "store none of them unless an agent announces each driver")
    .addHelpText("after", examples)
    .action(
      cli.clientAction(async (session, client, file: string | undefined, { wait, ...options }: Flags) => {
        const { io, output } = session;
        const fromStdin = file === undefined || file === "-";
        const tasks = parseLines(await (fromStdin ? readStdin(io, "tasks, a JSON object a line,") : readInput(file)));
        const { tasks: stored, correlationId: common } = await client.batch({ tasks, ...options });
        if (wait) {
          session.waitsFor = `${stored.length} tasks`;
          session.farewell = `ergon: the tasks go on, "ergon ls --all --correlation-id ${common}" lists them`;
          return printEnds(output, client, stored);
        }
        for (const entry of stored) output.value(entry);
        return undefined;
      }),
    );
}

function parseLines(data: Uint8Array): readonly TaskRequest[] {
  const issues: Issue[] = [];
  const tasks: TaskRequest[] = [];
  for (const [index, line] of Buffer.from(data).toString().split("\n").entries()) {
    if (line.trim() === "") continue;
    try {
      tasks.push(JSON.parse(line) as TaskRequest);
    } catch {
      issues.push({ field: `line ${index + 1}`, code: "INVALID_BODY", message: "is not JSON" });
    }
  }
  if (issues.length === 0) return tasks;
  throw new InvalidError("INVALID_BODY", issues.map(({ field, message }) => `${field} ${message}`).join(", "), {
    issues,
  });
}

async function printEnds(output: Output, client: Client, stored: readonly BatchEntry[]): Promise<number> {
  const waiting = stored.values();
  let exitCode: number = exitCodes.done.code;
  const waitInTurn = async (): Promise<void> => {
    for (const { id } of waiting) {
      const view = await client.wait(id);
      output.value(view);
      exitCode = Math.max(exitCode, exitCodeOfTask(view));
    }
  };
  await Promise.all(Array.from({ length: Math.min(WAITS, stored.length) }, waitInTurn));
  return exitCode;
}
