import { InvalidError, type ErgonError } from "@ergon/core";
import { Command, CommanderError, Help, Option } from "commander";

import { VERSION } from "../version.ts";
import { commandGroups } from "./commands.ts";
import { exitCodes } from "./exit-codes.ts";
import type { Io } from "./io.ts";
import { reportError } from "./report.ts";
import { createCli, durationArgument, isSet, type Cli } from "./session.ts";
import { settings } from "./settings.ts";
import { columnsOf, wrapText } from "./wrap.ts";

const entries = Object.values(commandGroups).flat();

/** Runs one command line and returns the exit code. It writes only to `io`, and never throws. */
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
    .helpCommand(false)
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
  for (const [title, commands] of Object.entries(commandGroups)) {
    program.commandsGroup(title);
    for (const { name, summary } of commands) program.command(name).summary(summary);
  }
  program.configureHelp({ subcommandTerm: termOf }).hook("preSubcommand", async (_, command) => {
    await load(command, cli);
  });
  addHelp(program, cli);
  return program;
}

/** Describes a command for the list of all commands, without loading it. */
function termOf(command: Command): string {
  const entry = entryOf(command);
  return entry === undefined ? new Help().subcommandTerm(command) : `${entry.name} ${entry.usage}`.trimEnd();
}

async function load(command: Command, cli: Cli): Promise<void> {
  const configure = await entryOf(command)?.load();
  configure?.(command, cli);
  // commander has looked for flags that are true by default (`--no-wait`) before the command was loaded.
  for (const option of command.options)
    if (option.negate && command.getOptionValue(option.attributeName()) === undefined)
      command.setOptionValueWithSource(option.attributeName(), true, "default");
}

/** Replaces commander's own help command, so that it can show a command that is not loaded. */
function addHelp(program: Command, cli: Cli): void {
  program
    .command("help")
    .helpGroup("Commands:")
    .summary("display help for command")
    .argument("[command]")
    .action(async (name: string | undefined) => {
      const command = name === undefined ? program : program.commands.find((known) => known.name() === name);
      if (command === undefined) refuseUnknown(program, name);
      await load(command, cli);
      command.help();
    });
}

function entryOf(command: Command): (typeof entries)[number] | undefined {
  return entries.find(({ name }) => name === command.name());
}

const ofEveryCommand = `
Every command takes --json, --nats, --namespace and more: see ergon --help`;

/** Refuses help for an unknown command, because commander would show the help of the command above it. */
function requireKnown(command: Command): void {
  const [name] = command.args;
  if (command.commands.length === 0 || name === undefined || name.startsWith("-")) return;
  if (command.commands.some((known) => known.name() === name || known.aliases().includes(name))) return;
  refuseUnknown(command, name);
}

function refuseUnknown(command: Command, name: string | undefined): never {
  command.error(`error: unknown command '${name ?? ""}'`, { code: "commander.unknownCommand" });
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
