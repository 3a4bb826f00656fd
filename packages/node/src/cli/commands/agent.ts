import type { Command } from "commander";

import { addSettingFlags } from "../service-flags.ts";
import { runService } from "../service.ts";
import type { DriverFlags } from "../services/shipped.ts";
import { countArgument, repeated, type Cli } from "../session.ts";
import { shippedDrivers } from "../shipped-drivers.ts";

const examples = `
Examples:
  ergon agent --driver echo --driver http
  ergon agent --driver upcase --concurrency 4 -- tr a-z A-Z

A program gets the payload on its standard input and answers on its standard output; exit code 0 is success, any other fails
the attempt. Prints a line when it takes work. The first SIGINT or SIGTERM lets it finish what runs, a second one quits.
docs/drivers.md explains each driver and its arguments.`;

export function agent(command: Command, cli: Cli): void {
  command
    .description(
      "Runs an agent that serves bundled drivers, or one driver by a program: each task starts the program, with the payload on standard input; its standard output is the response.",
    )
    .argument("[program...]", "after --, the program and its arguments; the agent starts it without a shell")
    .option(
      "--driver <name>",
      `a driver to serve: ${shippedDrivers.join(", ")}, or the driver of the program; repeatable`,
      repeated,
      [],
    )
    .option("--concurrency <n>", "attempts that may run at once, for each driver", countArgument)
    .option(
      "--http-allow <range>",
      "also allow the http driver this range of addresses, such as 10.0.0.0/8, or all; repeatable",
      repeated,
    )
    .option("--env <name>", "pass this environment variable to the program; repeatable", repeated)
    .option("--content-type <type>", "the content type of the program's output")
    .addHelpText("after", examples);
  addSettingFlags(command, ["service"]).action(
    cli.action(["connection", "service"], (session, words: readonly string[], flags: DriverFlags) =>
      runService(session, async (onStop) => {
        const { startAgent } = await import("../services/agent.ts");
        await startAgent(session, words, flags, onStop);
      }),
    ),
  );
}
