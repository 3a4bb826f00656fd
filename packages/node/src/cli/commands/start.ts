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

export function start(command: Command, cli: Cli): void {
  command
    .description(
      "Starts an instance of a machine that the nodes know. A repeated start with the same --id finds the instance that exists, and starts no second one.",
    )
    .argument("<machine>", "the machine's name")
    .argument("[input]", "the instance's input as JSON; - reads standard input, @file reads a file")
    .option("--id <id>", "the instance's id and idempotency key; Ergon generates one when absent")
    .option("--machine-version <version>", "the machine's version (default: the newest)")
    .option("--correlation-id <id>", "an id that related tasks and instances share")
    .option("--tag <tag>", "a tag to list by; repeatable", repeated)
    .option(
      "--retention <duration>",
      "how long it stays readable after its end, such as 1h (default: 3d)",
      durationText,
    )
    .option("--wait", "wait for the end; exit code 1 after a failure")
    .option("--until <where>", "wait until the instance has this state or tag: state:paid, tag:busy", untilArgument)
    .option(
      "--timeout <duration>",
      "stop --wait or --until after this time, such as 30s, with exit code 6",
      durationArgument,
    )
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

/** The time after which a start without an answer asks the nodes whether one of them knows the machine. */
const ASK_NODES_MS = 300;

/** Starts an instance. Nobody listens for an unknown machine, so the command asks the nodes which machines they know, and reports these at once. */
async function begin(client: Client, machine: string, input: unknown, options: StartOptions): Promise<Instance> {
  const { promise: unknown, reject } = Promise.withResolvers<never>();
  const lookUp = async (cause?: unknown): Promise<void> => {
    const known = await knownMachines(client);
    if (!known.some((name) => name.startsWith(`${machine}@`))) reject(machineNotFound(machine, known, cause));
  };
  // If no node answers, the start itself reports that.
  const timer = setTimeout(() => void lookUp().catch(() => undefined), ASK_NODES_MS);
  const started = client.start(machine, input, options);
  started.catch(() => undefined);
  try {
    return await Promise.race([started, unknown]);
  } catch (error) {
    if (isErgonError(error) && error.code === "NO_NODE") await Promise.race([lookUp(error), unknown]);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
