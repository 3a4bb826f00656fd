import { formatDuration } from "@ergon/core";
import { Option, type Command } from "commander";

import { nodeDefaults } from "../node-defaults.ts";
import { NATS_WAIT_MS } from "./service-nats.ts";
import { durationText, repeated } from "./session.ts";
import { settings, type Setting } from "./settings.ts";

/** Adds the flags of settings to a command, beyond those of the connection. */
export function addSettingFlags(command: Command, scopes: readonly Setting["scope"][]): Command {
  command.optionsGroup("Settings:");
  for (const { key, flag, summary, env, scope, repeated: isRepeated } of settings) {
    if (!scopes.includes(scope)) continue;
    const fallback = key === "nats.waitMs" ? formatDuration(NATS_WAIT_MS) : defaultOf(key);
    const option = new Option(
      flag,
      `${summary} (${env[0] ?? ""}${fallback === undefined ? "" : `; default: ${fallback}`})`,
    );
    if (isRepeated === true) option.argParser(repeated);
    else if (flag.endsWith("<duration>")) option.argParser(durationText);
    command.addOption(option);
  }
  return command;
}

/** Formats the default of a setting for people, or returns `undefined` if it has none. */
function defaultOf(key: string): string | undefined {
  const value = key
    .split(".")
    .reduce<unknown>((node, part) => (node as Record<string, unknown> | undefined)?.[part], nodeDefaults);
  if (typeof value === "number") return key.endsWith("Ms") ? formatDuration(value) : String(value);
  return typeof value === "string" ? value : undefined;
}
