import type { Until } from "@ergon/core";
import type { Command } from "commander";

import { awaitEnd } from "../ended.ts";
import { standing } from "../instance-view.ts";
import { durationArgument, type Cli } from "../session.ts";
import { exitCodeOfUntil, reach, untilArgument } from "../until.ts";

const examples = `
Prints the exact bytes of the response, of an instance its output, with --json the whole task or instance; with --until
the state that it is in then.

Examples:
  ergon wait photo-7 > thumbnail.jpg
  ergon wait photo-7 --timeout 30s --json
  ergon wait order-42 --until state:paid`;

export function wait(program: Command, cli: Cli): void {
  program
    .command("wait")
    .summary("wait until a task or an instance has ended")
    .description(
      "Waits until a task or an instance has ended: exit code 0 when it has succeeded, 1 when it has failed or was cancelled.",
    )
    .argument("<id>", "the task or instance")
    .option("--until <where>", "of an instance: wait until it is there: state:paid, tag:busy", untilArgument)
    .option("--timeout <duration>", "longest wait; exit code 6 when it is over", durationArgument)
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
