import type { Until } from "@ergon/core";
import type { Command } from "commander";

import { awaitEnd } from "../ended.ts";
import { readEvent } from "../events.ts";
import { standing } from "../instance-view.ts";
import { durationArgument, type Cli } from "../session.ts";
import { exitCodeOfUntil, reach, untilArgument } from "../until.ts";
import { checkTimeout } from "../wait-flags.ts";

const examples = `
Examples:
  ergon send order-42 confirm
  ergon send order-42 pay '{"amount": 5}' --event-id payment-7 --until state:paid

Prints the state that follows from the event, once that is stored; with --until the state that it is in then, with
--wait its output. Exit code 5 when the instance takes no such event where it stands; "ergon can" tells which it takes.`;

interface Flags {
  readonly eventId?: string;
  readonly wait?: boolean;
  readonly until?: Until;
  readonly timeout?: number;
}

export function send(command: Command, cli: Cli): void {
  command
    .description(
      "Sends an event to an instance of a machine. An event that is sent again with the same --event-id counts once.",
    )
    .argument("<id>", "the instance")
    .argument("<event>", "the event's type")
    .argument("[fields]", "the event's other fields as JSON; - reads standard input, @file reads a file")
    .option("--event-id <id>", "the event's idempotency key; Ergon generates one when absent")
    .option("--wait", "wait for the instance's end; exit code 1 after a failure")
    .option("--until <where>", "wait until the instance has this state or tag: state:paid, tag:busy", untilArgument)
    .option(
      "--timeout <duration>",
      "stop --wait or --until after this time, such as 30s, with exit code 6",
      durationArgument,
    )
    .addHelpText("after", examples)
    .action(
      cli.clientAction(async (session, client, id: string, type: string, fields: string | undefined, flags: Flags) => {
        checkTimeout(flags);
        const { output } = session;
        const event = await readEvent(session.io, type, fields);
        const view =
          flags.until === undefined
            ? await client.instance(id).send(event, { eventId: flags.eventId })
            : await reach(session, client, id, event, flags);
        if (flags.wait === true) return awaitEnd(session, client, id, flags.timeout);
        if (output.json) output.value(view);
        else output.line(view.status === "succeeded" ? view.state : standing(view));
        return flags.until === undefined ? undefined : exitCodeOfUntil(output, view, flags.until);
      }),
    );
}
