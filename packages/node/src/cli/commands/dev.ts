import { InvalidError } from "@ergon/core";
import type { Command } from "commander";

import { addSettingFlags } from "../service-flags.ts";
import { runService } from "../service.ts";
import type { DevFlags } from "../services/dev.ts";
import { portArgument, type Cli } from "../session.ts";
import { shippedDrivers } from "../shipped-drivers.ts";

const examples = `
Examples:
  ergon dev                        then, in a second terminal: ergon submit echo hello --wait
  ergon dev --port 0 --store ./data

Prints one line when it accepts tasks: ready nats://127.0.0.1:PORT namespace=default
Standard error shows the running parts, and where the tasks are stored.`;

export function dev(command: Command, cli: Cli): void {
  command
    .description(
      `Runs nats-server, a node and an agent of ${shippedDrivers.join(", ")}. Only programs on this machine can connect to them.`,
    )
    .option("--port <n>", "the port of NATS; 0 picks a free port", portArgument, 4222)
    .option("--store <dir>", "the folder that keeps all tasks (default: a temporary folder, removed at the end)")
    .addHelpText("after", examples);
  addSettingFlags(command, ["service", "node"]).action(
    cli.action(["connection", "service", "node"], async (session, flags: DevFlags) => {
      if (command.optsWithGlobals()["nats"] !== undefined)
        throw new InvalidError(
          "INVALID_OPTION",
          '--nats: ergon dev starts its own NATS. Omit --nats, or run "ergon node" on that server',
        );
      return runService(session, async (onStop) => {
        const { startDev } = await import("../services/dev.ts");
        await startDev(session, flags, onStop);
      });
    }),
  );
}
