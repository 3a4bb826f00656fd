import { silentLogger, type Logger } from "@ergon/core";
import { destination, pino, stdTimeFunctions } from "pino";
import { PinoPretty } from "pino-pretty";

import type { LogOptions } from "./options.ts";
import { visible } from "./visible.ts";

/** Logs go to standard error; standard output belongs to what a command answers. */
const STDERR = 2;
const formatters = { level: (label: string) => ({ level: label }) };

/** A logger as the options say: JSON lines for machines, coloured lines for a terminal. */
export function createLogger(options: LogOptions = {}): Logger {
  const { level = "info", format = "auto" } = options;
  if (level === "silent") return silentLogger;
  const pretty = format === "pretty" || (format === "auto" && process.stderr.isTTY);
  if (!pretty)
    return pino(
      { level, base: {}, formatters, timestamp: stdTimeFunctions.isoTime },
      destination({ dest: STDERR, sync: true }),
    );
  const colorize = process.stderr.isTTY && !process.env["NO_COLOR"];
  return pino(
    { level, base: {} },
    PinoPretty({
      destination: STDERR,
      sync: true,
      colorize,
      translateTime: "SYS:HH:MM:ss.l",
      // A program's standard error comes this way, too.
      messageFormat: (log, key) => visible(log[key] as string),
    }),
  );
}
