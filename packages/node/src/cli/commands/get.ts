import type { Command } from "commander";

import { printTask } from "../format.ts";
import type { Cli } from "../session.ts";

export function get(program: Command, cli: Cli): void {
  program
    .command("get")
    .summary("show a task")
    .description("Shows what is known of a task, live or retained, with its history.")
    .argument("<id>", "the task")
    .action(cli.clientAction(async ({ output }, client, id: string) => printTask(output, await client.get(id))));
}
