import type { Command } from "commander";

import { createLogger } from "../../logger.ts";
import { runningText } from "../format.ts";
import { addSettingFlags, serviceNats } from "../service-flags.ts";
import { runService } from "../service.ts";
import { countArgument, repeated, type Cli } from "../session.ts";
import { shippedDrivers } from "../shipped-drivers.ts";
import type { DriverFlags } from "../shipped.ts";

const examples = `
Examples:
  ergon agent --driver echo --driver http
  ergon agent --driver upcase --concurrency 4 -- tr a-z A-Z

A program gets the payload on its standard input and answers on its standard output; exit code 0 is success, any other fails
the attempt. Prints a line when it takes work. The first SIGINT or SIGTERM lets it finish what runs, a second one quits.
docs/drivers.md explains each driver and its arguments.`;

export function agent(program: Command, cli: Cli): void {
  const command = program
    .command("agent")
    .summary("run an agent of bundled drivers, or of any program")
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
        const [{ createAgent }, { driversOf }] = await Promise.all([import("@ergon/agents"), import("../shipped.ts")]);
        const { settings, output } = session;
        const { namespace, prefix, id, drainMs } = settings;
        const drivers = driversOf(flags, words);
        const logger = createLogger(settings.log);
        const replaced = Promise.withResolvers<never>();
        const running = createAgent({
          drivers,
          nats: serviceNats(settings),
          namespace,
          prefix,
          id,
          drainMs,
          logger,
          signals: [],
          onReplaced: (error) => replaced.reject(error),
        });
        onStop(
          () => running.stop(),
          () => runningText(running.running, drainMs),
        );
        await running.start();
        const names = drivers.map(({ driver }) => driver);
        if (output.json) output.value({ ready: true, agent: running.id, namespace, drivers: names });
        else output.line(`ready agent=${running.id} namespace=${namespace} drivers=${names.join(",")}`);
        await replaced.promise;
      }),
    ),
  );
}
