import type { Command } from "commander";

import { awaitEnd } from "../ended.ts";
import { durationArgument, type Cli } from "../session.ts";

const examples = `
Prints the exact bytes of the response, and with --json the whole task.

Examples:
  ergon wait photo-7 > thumbnail.jpg
  ergon wait photo-7 --timeout 30s --json`;

export function wait(program: Command, cli: Cli): void {
  program
    .command("wait")
    .summary("wait until a task has ended")
    .description(
      "Waits until a task has ended: exit code 0 when it has succeeded, 1 when it has failed or was cancelled.",
    )
    .argument("<id>", "the task")
    .option("--timeout <duration>", "longest wait; exit code 6 when it is over", durationArgument)
    .addHelpText("after", examples)
    .action(
      cli.clientAction((session, client, id: string, flags: { timeout?: number }) =>
        awaitEnd(session, client, id, flags.timeout),
      ),
    );
}
