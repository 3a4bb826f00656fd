import type { DecisionOptions } from "@ergon/core";
import type { Command } from "commander";

import type { Cli } from "../session.ts";

export function end(program: Command, cli: Cli): void {
  program
    .command("end")
    .summary("end a task or an instance by force")
    .description(
      "Fails a live task at once, whatever its agent does, or an instance, whatever its machine would do. Exit code 5 when it has ended already.",
    )
    .argument("<id>", "the task or instance")
    .option("--reason <text>", "why; kept with it")
    .option("--by <name>", "who decides (default: user@host)")
    .action(
      cli.clientAction(async ({ output }, client, id: string, { by, reason }: DecisionOptions) => {
        const view = await client.end(id, { by, reason });
        if (output.json) output.value(view);
        else output.line(view.status);
      }),
    );
}
