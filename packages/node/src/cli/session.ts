import { hostname } from "node:os";

import { SECOND, formatDuration, parseDuration, silentLogger, type Client, type Logger } from "@ergon/core";
import { InvalidArgumentError, type Command } from "commander";

import type { LogOptions, ResolvedNodeOptions } from "../options.ts";
import { exitCodeOf, exitCodes } from "./exit-codes.ts";
import type { Io } from "./io.ts";
import { createOutput, type Output } from "./output.ts";
import { reportError } from "./report.ts";
import type { Setting } from "./settings.ts";

/** The input of a command: its environment, and the settings from its flags, the environment variables and the file. */
export interface Session {
  readonly io: Io;
  readonly output: Output;
  readonly settings: ResolvedNodeOptions;
  readonly debug: boolean;
  /** Connects as a client. */
  connect(): Promise<Client>;
  /** The message for people when Ctrl-C ends the command. */
  farewell?: string;
  /** The thing that the command waits for, in the words of an outage's message: `task t-1`. */
  waitsFor?: string;
}

/** The work of a command. Its result is the exit code, or 0 if it returns none. */
type Action<Args extends readonly unknown[]> = (session: Session, ...args: Args) => Promise<number | void>;
type ClientAction<Args extends readonly unknown[]> = (
  session: Session,
  client: Client,
  ...args: Args
) => Promise<number | void>;

/** Makes the functions that commander calls from the work of commands. */
export interface Cli {
  action<Args extends readonly unknown[]>(
    scopes: readonly Setting["scope"][],
    run: Action<Args>,
  ): (...args: [...Args, Command]) => Promise<void>;
  /** Does the same with a connected client. It closes the client in the end, and Ctrl-C ends it. */
  clientAction<Args extends readonly unknown[]>(
    run: ClientAction<Args>,
  ): (...args: [...Args, Command]) => Promise<void>;
  readonly exitCode: number;
}

const REQUEST_TIMEOUT_MS: number = 10 * SECOND;
/** The pause between two messages that no node answers, because a command with many waits finds this many times. */
const SAY_AGAIN_MS: number = 30 * SECOND;

export function createCli(io: Io): Cli {
  let exitCode = 0;

  const action =
    <Args extends readonly unknown[]>(scopes: readonly Setting["scope"][], run: Action<Args>) =>
    async (...all: [...Args, Command]): Promise<void> => {
      const command = all.at(-1) as Command;
      const args = all.slice(0, -1) as unknown as Args;
      const flags = command.optsWithGlobals();
      const json = flags["json"] === true;
      const debug = flags["debug"] === true || isSet(io.env["ERGON_DEBUG"]);
      try {
        const { readSettings } = await import("./read-settings.ts");
        const settings = await readSettings({ flags, scopes, env: io.env });
        const requestTimeout = (flags["requestTimeout"] as number | undefined) ?? REQUEST_TIMEOUT_MS;
        const session: Session = {
          io,
          output: createOutput(io, json),
          settings,
          debug,
          connect: () => connectClient(session, requestTimeout),
        };
        exitCode = (await run(session, ...args)) ?? exitCodes.done.code;
      } catch (error) {
        reportError(io, error, { json, debug });
        exitCode = exitCodeOf(error);
      }
    };

  return {
    action,
    clientAction: <Args extends readonly unknown[]>(run: ClientAction<Args>) =>
      action<Args>(["connection"], async (session, ...args) => {
        const client = await session.connect();
        const interrupt = interruption(io);
        const interrupted = interrupt.happened.then((code) => {
          if (session.farewell !== undefined) session.output.note(session.farewell);
          return code;
        });
        try {
          return await Promise.race([run(session, client, ...args), interrupted]);
        } finally {
          interrupt.forget();
          await client.close();
        }
      }),
    get exitCode() {
      return exitCode;
    },
  };
}

/**
 * Connects, and reports on standard error when NATS or the nodes are away for a second, so that people see the reason and the thing that the command
 * waits for.
 */
async function connectClient(session: Session, timeoutMs: number): Promise<Client> {
  const { io, output, settings, debug } = session;
  const { nats, namespace, prefix, log } = settings;
  const { connect } = await import("./client.ts");
  const logger = await loggerOf(debug, log);
  const by = `${io.env["USER"] ?? "cli"}@${hostname()}`;
  const say = (text: string): void => {
    if (!output.json) output.note(`ergon: ${text}`);
  };
  let noNodeAt: number | undefined;
  const onNoNode = (): void => {
    const now = performance.now();
    const recently = noNodeAt !== undefined && now - noNodeAt < SAY_AGAIN_MS;
    noNodeAt = now;
    if (recently) return;
    const { waitsFor } = session;
    say(
      `no node answers yet; ${waitsFor === undefined ? `asking for ${formatDuration(timeoutMs)}` : `still waiting for ${waitsFor}`}`,
    );
  };
  const onNatsAway = (away: boolean): void => {
    if (!away) return say("NATS is reachable again");
    const { waitsFor } = session;
    say(
      `NATS is unreachable; ${waitsFor === undefined ? `trying for ${formatDuration(timeoutMs)}` : `still waiting for ${waitsFor}, which continues`}`,
    );
  };
  return connect({
    nats: { name: "ergon cli", ...nats },
    ...{ namespace, prefix, timeoutMs, by, logger, onNoNode, onNatsAway },
  });
}

/** Returns the logger for the events of a connection, which is silent without `--debug`. */
export async function loggerOf(debug: boolean, options: LogOptions = {}): Promise<Logger> {
  if (!debug) return silentLogger;
  const { createLogger } = await import("../logger.ts");
  return createLogger({ ...options, level: "debug" });
}

const signalCodes: Partial<Record<NodeJS.Signals, number>> = {
  SIGHUP: 129,
  SIGINT: exitCodes.interrupted.code,
  SIGTERM: 143,
};

function interruption(io: Io): { readonly happened: Promise<number>; forget(): void } {
  let forget = (): void => undefined;
  const happened = new Promise<number>((resolve) => {
    forget = io.onSignal((signal) => resolve(signalCodes[signal] ?? exitCodes.interrupted.code));
  });
  return { happened, forget: () => forget() };
}

/** Parses a duration for an option, in milliseconds. */
export function durationArgument(text: string): number {
  const ms = parseDuration(durationText(text));
  if (ms === undefined) throw new InvalidArgumentError("Write it like 500ms, 30s or 5m.");
  return ms;
}

/** Does the same, but returns the text for a later check. It refuses a bare number, because its unit is not clear. */
export function durationText(text: string): string {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) !== 0)
    throw new InvalidArgumentError(`The unit is missing: write ${text}ms or ${text}s.`);
  return text;
}

/** Parses a count for an option. */
export function countArgument(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 0) throw new InvalidArgumentError("The value must be a whole number.");
  return count;
}

/** Parses a port for an option. */
export function portArgument(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError("The value must be a whole number from 0 to 65535.");
  return port;
}

/** Collects the values of an option that users may repeat. */
export function repeated(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

export function isSet(variable: string | undefined): boolean {
  return variable !== undefined && !["", "0", "false"].includes(variable);
}
