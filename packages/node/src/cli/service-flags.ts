import { formatDuration } from "@ergon/core";
import { Option, type Command } from "commander";

import { nodeDefaults } from "../node-defaults.ts";
import { NATS_WAIT_MS } from "./service-nats.ts";
import { durationText, repeated } from "./session.ts";
import { settings, type Setting } from "./settings.ts";

/** Gives a command the flags of settings beyond the connection's. */
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

/** The default of a setting as people write it; of one that has none, `undefined`. */
function defaultOf(key: string): string | undefined {
  const value = key
    .split(".")
    .reduce<unknown>((node, part) => (node as Record<string, unknown> | undefined)?.[part], nodeDefaults);
  if (typeof value === "number") return key.endsWith("Ms") ? formatDuration(value) : String(value);
  return typeof value === "string" ? value : undefined;
}
