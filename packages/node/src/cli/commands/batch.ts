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

Prints each task as it ends, one JSON object per line; --no-wait prints each task as it was stored.
Exit code 1 when one of them has failed.`;

interface Flags {
  readonly wait: boolean;
  readonly correlationId?: string;
  readonly requireAgents?: boolean;
}

/** The number of waits in flight at once. The tasks of the other waits run all the same. */
const WAITS = 500;

export function batch(command: Command, cli: Cli): void {
  command
    .description(
      "Reads tasks from a file or from standard input, and stores all of them or none. Prints each task when it has ended.",
    )
    .argument("[file]", "a file with one JSON object per line (default: standard input)")
    .option("--no-wait", "print the ids and do not wait for the ends")
    .option("--correlation-id <id>", "an id that all tasks of the batch share; Ergon generates one when absent")
    .option("--require-agents", "store the batch only if a running agent serves each of its drivers")
    .addHelpText("after", examples)
    .action(
      cli.clientAction(async (session, client, file: string | undefined, { wait, ...options }: Flags) => {
        const { io, output } = session;
        const fromStdin = file === undefined || file === "-";
        const tasks = parseLines(
          await (fromStdin ? readStdin(io, "tasks, one JSON object per line,") : readInput(file)),
        );
        const { tasks: stored, correlationId: common } = await client.batch({ tasks, ...options });
        if (wait) {
          session.waitsFor = `${stored.length} tasks`;
          session.farewell = `ergon: the tasks continue; "ergon ls --all --correlation-id ${common}" lists them`;
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
