import type { DecisionOptions } from "@ergon/core";
import type { Command } from "commander";

import type { Cli } from "../session.ts";

export function end(program: Command, cli: Cli): void {
  program
    .command("end")
    .summary("end a task by force")
    .description("Fails a live task at once, whatever its agent does. Exit code 5 when the task has ended already.")
    .argument("<id>", "the task")
    .option("--reason <text>", "why; kept with the task")
    .option("--by <name>", "who decides (default: user@host)")
    .action(
      cli.clientAction(async ({ output }, client, id: string, { by, reason }: DecisionOptions) => {
        const view = await client.end(id, { by, reason });
        if (output.json) output.value(view);
        else output.line(view.status);
      }),
    );
}
