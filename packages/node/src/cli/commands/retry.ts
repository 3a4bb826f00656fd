import type { RetryOptions } from "@ergon/core";
import type { Command } from "commander";

import type { Cli } from "../session.ts";

export function retry(command: Command, cli: Cli): void {
  command
    .description(
      "Submits a failed or cancelled task again as a new task, and prints the new task's id. Exit code 5 when the task has neither failed nor been cancelled.",
    )
    .argument("<id>", "the task that failed")
    .option("--id <id>", "the new task's id; Ergon generates one when absent")
    .option("--reason <text>", "the reason; stored with the task")
    .option("--by <name>", "the name of the person or program that decides (default: user@host)")
    .action(
      cli.clientAction(async ({ output }, client, failed: string, { by, id, reason }: RetryOptions) => {
        const task = await client.retry(failed, { by, id, reason });
        if (output.json) output.value(task.view);
        else output.line(task.id);
      }),
    );
}
