import { isErgonError, type Client, type Instance, type StartOptions, type Until } from "@ergon/core";
import type { Command } from "commander";

import { awaitEnd } from "../ended.ts";
import { standing } from "../instance-view.ts";
import { knownMachines, machineNotFound } from "../known-machines.ts";
import { readJson } from "../payload.ts";
import { durationArgument, durationText, repeated, type Cli } from "../session.ts";
import { exitCodeOfUntil, reach, untilArgument } from "../until.ts";
import { checkTimeout } from "../wait-flags.ts";

const examples = `
Examples:
  ergon start order '{"amount": 5}' --id order-42
  ergon start order @order.json --until state:paid --timeout 30s
  ergon start report --wait > report.json

Prints the instance's id once it is stored; with --until the state that it is in then, with --wait its output.
The machine must be known to a node: ergon node --machines ./machines.ts`;

interface Flags {
  readonly id?: string;
  readonly machineVersion?: string;
  readonly correlationId?: string;
  readonly tag?: readonly string[];
  readonly retention?: string;
  readonly wait?: boolean;
  readonly until?: Until;
  readonly timeout?: number;
}

export function start(program: Command, cli: Cli): void {
  program
    .command("start")
    .summary("start an instance of a machine")
    .description("Starts an instance of a machine that the nodes know. The same --id again is the same instance.")
    .argument("<machine>", "the machine's name")
    .argument("[input]", "its input as JSON, - for standard input, @file for a file")
    .option("--id <id>", "the instance's id and idempotency key; made up when absent")
    .option("--machine-version <version>", "which version; the newest when absent")
    .option("--correlation-id <id>", "what belongs together shares")
    .option("--tag <tag>", "a tag to list by; several times", repeated)
    .option("--retention <duration>", "how long it stays readable after its end (default: 3d)", durationText)
    .option("--wait", "wait until it has ended; exit code 1 when it failed")
    .option("--until <where>", "wait until it is there: state:paid, tag:busy", untilArgument)
    .option("--timeout <duration>", "longest --wait or --until; exit code 6 when it is over", durationArgument)
    .addHelpText("after", examples)
    .action(
      cli.clientAction(async (session, client, machine: string, input: string | undefined, flags: Flags) => {
        checkTimeout(flags);
        const { machineVersion: version, correlationId, tag: tags, id, retention } = flags;
        const data = await readJson(session.io, input, "input");
        const instance = await begin(client, machine, data, { id, version, correlationId, tags, retention });
        const { output } = session;
        if (flags.wait === true) return awaitEnd(session, client, instance.id, flags.timeout);
        if (flags.until !== undefined) {
          const view = await reach(session, client, instance.id, undefined, flags);
          if (output.json) output.value(view);
          else output.line(standing(view));
          return exitCodeOfUntil(output, view, flags.until);
        }
        if (output.json) output.value(await instance.get());
        else output.line(instance.id);
        return undefined;
      }),
    );
}

/** Nobody listens for a machine that nobody knows: then it is said which ones are known. */
async function begin(client: Client, machine: string, input: unknown, options: StartOptions): Promise<Instance> {
  try {
    return await client.start(machine, input, options);
  } catch (error) {
    if (!isErgonError(error) || error.code !== "NO_NODE") throw error;
    throw machineNotFound(machine, await knownMachines(client), error);
  }
}
