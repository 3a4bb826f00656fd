import { isInstance, type MachineView, type TaskView } from "@ergon/core";
import type { Command } from "commander";

import { printTask } from "../format.ts";
import { printInstance } from "../instance-view.ts";
import type { Cli } from "../session.ts";

export function get(command: Command, cli: Cli): void {
  command
    .description("Shows a task or an instance, live or ended and still retained, with its history.")
    .argument("<id>", "the task or instance")
    .action(
      cli.clientAction(async ({ output }, client, id: string) => {
        const view = (await client.get(id)) as TaskView | MachineView;
        if (isInstance(view)) printInstance(output, view);
        else printTask(output, view);
      }),
    );
}
