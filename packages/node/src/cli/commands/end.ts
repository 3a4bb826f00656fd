import type { DecisionOptions } from "@ergon/core";
import type { Command } from "commander";

import type { Cli } from "../session.ts";

export function end(command: Command, cli: Cli): void {
  command
    .description(
      "Fails a live task or instance at once, without waiting for its agent or its machine. Exit code 5 when it has ended already.",
    )
    .argument("<id>", "the task or instance")
    .option("--reason <text>", "the reason; stored with the task or instance")
    .option("--by <name>", "the name of the person or program that decides (default: user@host)")
    .action(
      cli.clientAction(async ({ output }, client, id: string, { by, reason }: DecisionOptions) => {
        const view = await client.end(id, { by, reason });
        if (output.json) output.value(view);
        else output.line(view.status);
      }),
    );
}
