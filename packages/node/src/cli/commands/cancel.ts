import { isInstance, isTerminal, type DecisionOptions, type MachineView, type TaskView } from "@ergon/core";
import type { Command } from "commander";

import { standingOf } from "../instance-view.ts";
import type { Cli } from "../session.ts";

export function cancel(command: Command, cli: Cli): void {
  command
    .description(
      "Requests a cancel, and prints the result: cancelled; or cancelling, while a running attempt has its grace to stop; or the state of a machine that handles the event cancel itself. Exit code 5 when the task or instance has ended already.",
    )
    .argument("<id>", "the task or instance")
    .option("--reason <text>", "the reason; stored with the task or instance")
    .option("--by <name>", "the name of the person or program that decides (default: user@host)")
    .action(
      cli.clientAction(async ({ output }, client, id: string, { by, reason }: DecisionOptions) => {
        const view: TaskView | MachineView = await client.cancel(id, { by, reason });
        if (output.json) output.value(view);
        else output.line(isInstance(view) || isTerminal(view.status) ? standingOf(view) : "cancelling");
      }),
    );
}
