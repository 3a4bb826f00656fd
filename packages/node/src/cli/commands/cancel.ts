import type { DecisionOptions } from "@ergon/core";
import type { Command } from "commander";

import { standingOf } from "../instance-view.ts";
import type { Cli } from "../session.ts";

export function cancel(program: Command, cli: Cli): void {
  program
    .command("cancel")
    .summary("cancel a task or an instance")
    .description(
      "Asks for a cancel: a running attempt gets its grace to stop first; a machine that takes an event cancel decides what follows. Exit code 5 when the task or instance has ended already.",
    )
    .argument("<id>", "the task or instance")
    .option("--reason <text>", "why; kept with it")
    .option("--by <name>", "who decides (default: user@host)")
    .action(
      cli.clientAction(async ({ output }, client, id: string, { by, reason }: DecisionOptions) => {
        const view = await client.cancel(id, { by, reason });
        if (output.json) output.value(view);
        else output.line(standingOf(view));
      }),
    );
}
