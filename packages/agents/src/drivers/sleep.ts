import { TerminalError, parseDuration } from "@ergon/core";

import type { Attempt } from "../attempt.ts";
import type { DriverDefinition } from "../driver.ts";
import type { SimpleDriverOptions } from "./echo.ts";

/**
 * Succeeds after a time. The argument `ms` or `duration` (`250ms`, `1h30m`) gives it, or else the payload: such a text, a
 * number of milliseconds, or JSON `{"ms": …}` or `{"duration": …}`. Without a time, it is 0. Anything else fails for good with
 * `INVALID_OPTION`. The agent sends the heartbeats.
 */
export function sleep(options: SimpleDriverOptions = {}): DriverDefinition {
  return {
    driver: options.driver ?? "sleep",
    concurrency: options.concurrency ?? 1_000,
    heartbeats: "agent",
    handler: (attempt) => attempt.sleep(readTime(attempt)),
  };
}

function readTime(attempt: Attempt): number {
  const { ms, duration } = attempt.arguments;
  const given = ms ?? duration ?? readPayload(attempt.text().trim());
  const time = parseDuration(given === "" ? "0" : given);
  if (time !== undefined) return time;
  throw new TerminalError("INVALID_OPTION", `"${given.slice(0, 80)}" is not a duration, such as 250ms or 1h30m`);
}

function readPayload(text: string): string {
  if (!text.startsWith("{") && !text.startsWith('"')) return text;
  try {
    const value = JSON.parse(text) as string | { readonly ms?: number; readonly duration?: string };
    return typeof value === "string" ? value : `${value.ms ?? value.duration ?? text}`;
  } catch {
    // The payload is not JSON, so it is read as a text.
    return text;
  }
}
