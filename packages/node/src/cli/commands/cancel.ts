import { isInstance, isTerminal, type DecisionOptions, type MachineView, type TaskView } from "@ergon/core";
import type { Command } from "commander";

import { standingOf } from "../instance-view.ts";
import type { Cli } from "../session.ts";

export function cancel(program: Command, cli: Cli): void {
  program
    .command("cancel")
    .summary("cancel a task or an instance")
    .description(
      "Asks for a cancel, and prints what has become of it: cancelling, while a running attempt has its grace to stop; cancelled; or the state of a machine that takes an event cancel, which decides what follows. Exit code 5 when the task or instance has ended already.",
    )
    .argument("<id>", "the task or instance")
    .option("--reason <text>", "why; kept with it")
    .option("--by <name>", "who decides (default: user@host)")
    .action(
      cli.clientAction(async ({ output }, client, id: string, { by, reason }: DecisionOptions) => {
        const view: TaskView | MachineView = await client.cancel(id, { by, reason });
        if (output.json) output.value(view);
        else output.line(isInstance(view) || isTerminal(view.status) ? standingOf(view) : "cancelling");
      }),
    );
}
