import type { Until } from "@ergon/core";
import type { Command } from "commander";

import { awaitEnd } from "../ended.ts";
import { standing } from "../instance-view.ts";
import { durationArgument, type Cli } from "../session.ts";
import { exitCodeOfUntil, reach, untilArgument } from "../until.ts";

const examples = `
Prints the exact bytes of a task's response or an instance's output. --json prints the whole task or instance. --until
prints the state that the instance has reached.

Examples:
  ergon wait photo-7 > thumbnail.jpg
  ergon wait photo-7 --timeout 30s --json
  ergon wait order-42 --until state:paid`;

export function wait(command: Command, cli: Cli): void {
  command
    .description(
      "Waits until a task or an instance has ended. Exit code 0 after a success, 1 after a failure or a cancel.",
    )
    .argument("<id>", "the task or instance")
    .option("--until <where>", "wait until the instance has this state or tag: state:paid, tag:busy", untilArgument)
    .option("--timeout <duration>", "stop waiting after this time, such as 30s, with exit code 6", durationArgument)
    .addHelpText("after", examples)
    .action(
      cli.clientAction(async (session, client, id: string, flags: { timeout?: number; until?: Until }) => {
        if (flags.until === undefined) return awaitEnd(session, client, id, flags.timeout);
        const view = await reach(session, client, id, undefined, flags);
        if (session.output.json) session.output.value(view);
        else session.output.line(standing(view));
        return exitCodeOfUntil(session.output, view, flags.until);
      }),
    );
}
