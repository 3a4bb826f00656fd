import { InvalidError, type ErgonError } from "@ergon/core";
import { Command, CommanderError, Option } from "commander";

import { VERSION } from "../version.ts";
import { agent } from "./commands/agent.ts";
import { agents } from "./commands/agents.ts";
import { ask } from "./commands/ask.ts";
import { batch } from "./commands/batch.ts";
import { can } from "./commands/can.ts";
import { cancel } from "./commands/cancel.ts";
import { check } from "./commands/check.ts";
import { dev } from "./commands/dev.ts";
import { doctor } from "./commands/doctor.ts";
import { end } from "./commands/end.ts";
import { get } from "./commands/get.ts";
import { ls } from "./commands/ls.ts";
import { migrate } from "./commands/migrate.ts";
import { node } from "./commands/node.ts";
import { nodes } from "./commands/nodes.ts";
import { plan } from "./commands/plan.ts";
import { retry } from "./commands/retry.ts";
import { schedule } from "./commands/schedule.ts";
import { send } from "./commands/send.ts";
import { shards } from "./commands/shards.ts";
import { start } from "./commands/start.ts";
import { submit } from "./commands/submit.ts";
import { wait } from "./commands/wait.ts";
import { watch } from "./commands/watch.ts";
import { exitCodes } from "./exit-codes.ts";
import type { Io } from "./io.ts";
import { reportError } from "./report.ts";
import { createCli, durationArgument, isSet, type Cli } from "./session.ts";
import { settings } from "./settings.ts";
import { columnsOf, wrapText } from "./wrap.ts";

const groups: readonly (readonly [string, readonly ((program: Command, cli: Cli) => void)[]])[] = [
  ["Run:", [dev, node, agent]],
  ["Tasks:", [submit, batch, get, wait, watch, cancel, retry, end, ls]],
  ["Machines:", [start, send, ask, can, migrate, check, plan, schedule]],
  ["Cluster:", [nodes, agents, shards, doctor]],
];

/** Runs one command line and answers the exit code. Writes to `io` alone; never throws. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  const cli = createCli(io);
  const said: string[] = [];
  const program = createProgram(cli, io, said);
  const json = args.includes("--json");
  const debug = args.includes("--debug") || isSet(io.env["ERGON_DEBUG"]);
  try {
    await program.parseAsync(args, { from: "user" });
    return cli.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return exitCodes.done.code;
      if (error.code === "commander.help") {
        io.stderr.write(said.join(""));
        return exitCodes.usage.code;
      }
      reportError(io, usageError(said.join("") || error.message), { json, debug });
      return exitCodes.usage.code;
    }
    reportError(io, error, { json, debug });
    return exitCodes.internal.code;
  }
}

function createProgram(cli: Cli, io: Io, said: string[]): Command {
  const isTerminal = io.stdout.isTTY === true;
  const program = new Command("ergon")
    .description("Durable tasks over NATS.")
    .version(VERSION)
    .exitOverride()
    .showSuggestionAfterError()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(isTerminal ? wrapText(text, columnsOf(io.stdout)) : text),
      getOutHelpWidth: () => columnsOf(io.stdout),
      getErrHelpWidth: () => columnsOf(io.stderr),
      writeErr: (text) => void said.push(text),
      getOutHasColors: () => isTerminal && !io.env["NO_COLOR"],
    })
    .helpCommand(true)
    .optionsGroup("Options:")
    .option("--json", "print results and errors as JSON, one value per line")
    .option("--debug", "print stacks of errors, and log what the connection does (ERGON_DEBUG=1)")
    .option(
      "--request-timeout <duration>",
      "longest wait for an answer, retries included (default: 10s)",
      durationArgument,
    )
    .option("--config <file>", "read settings from this file, in YAML or JSON (ERGON_CONFIG)")
    .optionsGroup("Connection:");
  for (const { flag, summary, env, scope } of settings) {
    if (scope === "connection")
      program.addOption(new Option(flag, `${summary} (${env.at(-1) ?? ""})`).helpGroup("Connection:"));
  }
  program.addHelpText("after", epilogue);
  program.addHelpText("afterAll", ({ command }) => (command === program ? "" : ofEveryCommand));
  program.on("beforeAllHelp", ({ command }: { readonly command: Command }) => requireKnown(command));
  for (const [title, commands] of groups) {
    program.commandsGroup(title);
    for (const register of commands) register(program, cli);
  }
  return program;
}

const ofEveryCommand = `
Every command takes --json, --nats, --namespace and more: see ergon --help`;

/** Help for a command that is none is no help: commander would show that of the command above it. */
function requireKnown(command: Command): void {
  const [first, second] = command.args;
  const name = first === "help" && command.parent === null ? second : first;
  if (command.commands.length === 0 || name === undefined || name.startsWith("-")) return;
  if (command.commands.some((known) => known.name() === name || known.aliases().includes(name))) return;
  command.error(`error: unknown command '${name}'`, { code: "commander.unknownCommand" });
}

const epilogue = `
Examples:
  ergon dev                                    NATS, a node and the shipped agents, on this machine
  ergon submit echo '{"hello": "world"}' --wait
  ergon agent --driver upcase -- tr a-z A-Z    any program as an agent
  ergon ls --status failed --all --json
  ergon help submit

Exit codes:
${Object.values(exitCodes)
  .map(({ code, summary }) => `  ${String(code).padEnd(4)} ${summary}`)
  .join("\n")}`;

function usageError(text: string): ErgonError {
  const message = text
    .trim()
    .replace(/^error: /, "")
    .replace(/\s*\n\s*/g, " ");
  const advice = message.startsWith("unknown option") ? ' Put -- before an id or payload that begins with "-".' : "";
  return new InvalidError(
    "INVALID_OPTION",
    `${message}${/[.?)]$/.test(message) ? "" : "."}${advice} See "ergon --help"`,
  );
}
