import type { Command } from "commander";

import { readEvent } from "../events.ts";
import { durationArgument, type Cli } from "../session.ts";
import { exitCodeOfUntil, reach, untilArgument, type UntilFlags } from "../until.ts";

const examples = `
Examples:
  ergon ask order-42 confirm --until state:paid | jq .receipt
  ergon ask basket-7 checkout                  waits for its end, and prints its output`;

export function ask(program: Command, cli: Cli): void {
  program
    .command("ask")
    .summary("send an event and print what comes of it")
    .description(
      "Sends an event, waits until the instance is where --until says, or has ended, and prints its context as JSON; of one that has ended its output.",
    )
    .argument("<id>", "the instance")
    .argument("<event>", "the event's type")
    .argument("[fields]", "its other fields as JSON, - for standard input, @file for a file")
    .option("--event-id <id>", "the event's idempotency key; made up when absent")
    .option("--until <where>", "where: state:paid, tag:busy (default: its end)", untilArgument)
    .option("--timeout <duration>", "longest wait; exit code 6 when it is over", durationArgument)
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
