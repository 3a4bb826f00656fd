import { SECOND, formatDuration, type NatsOptions } from "@ergon/core";
import { Option, type Command } from "commander";

import type { ResolvedNodeOptions } from "../options.ts";
import { resolveNodeOptions } from "../options.ts";
import { durationText, repeated } from "./session.ts";
import { settings, type Setting } from "./settings.ts";

/** Services start before or after NATS, as they come. */
const NATS_WAIT_MS = 30 * SECOND;

/** Gives a command the flags of settings beyond the connection's. */
export function addSettingFlags(command: Command, scopes: readonly Setting["scope"][]): Command {
  const defaults = resolveNodeOptions();
  command.optionsGroup("Settings:");
  for (const { key, flag, summary, env, scope, repeated: isRepeated } of settings) {
    if (!scopes.includes(scope)) continue;
    const fallback = key === "nats.waitMs" ? formatDuration(NATS_WAIT_MS) : valueAt(defaults, key);
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
function valueAt(defaults: ResolvedNodeOptions, key: string): string | undefined {
  const value = key
    .split(".")
    .reduce<unknown>((node, part) => (node as Record<string, unknown> | undefined)?.[part], defaults);
  if (typeof value === "number") return key.endsWith("Ms") ? formatDuration(value) : String(value);
  return typeof value === "string" ? value : undefined;
}

/** The connection of a service: unless told otherwise it waits for a NATS that is not there yet. */
export function serviceNats({ nats }: ResolvedNodeOptions): NatsOptions {
  return { waitMs: NATS_WAIT_MS, ...nats };
}
