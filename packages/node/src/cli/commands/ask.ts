import type { Command } from "commander";

import { readEvent } from "../events.ts";
import { durationArgument, type Cli } from "../session.ts";
import { exitCodeOfUntil, reach, untilArgument, type UntilFlags } from "../until.ts";

const examples = `
Examples:
  ergon ask order-42 confirm --until state:paid | jq .receipt
  ergon ask basket-7 checkout                  waits for the end, and prints the output`;

export function ask(command: Command, cli: Cli): void {
  command
    .description(
      "Sends an event and waits until the instance reaches the state or tag of --until, or has ended. Prints the instance's context as JSON, or its output when it has ended.",
    )
    .argument("<id>", "the instance")
    .argument("<event>", "the event's type")
    .argument("[fields]", "the event's other fields as JSON; - reads standard input, @file reads a file")
    .option("--event-id <id>", "the event's idempotency key; Ergon generates one when absent")
    .option("--until <where>", "the state or tag to wait for: state:paid, tag:busy (default: the end)", untilArgument)
    .option("--timeout <duration>", "stop waiting after this time, such as 30s, with exit code 6", durationArgument)
    .addHelpText("after", examples)
    .action(
      cli.clientAction(
        async (session, client, id: string, type: string, fields: string | undefined, flags: UntilFlags) => {
          const { output } = session;
          const view = await reach(session, client, id, await readEvent(session.io, type, fields), flags);
          output.value(output.json ? view : ((view.status === "running" ? view.context : view.output) ?? null));
          return exitCodeOfUntil(output, view, flags.until);
        },
      ),
    );
}
