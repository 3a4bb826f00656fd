import { silentLogger, type Logger } from "@ergon/core";
import { destination, pino, stdTimeFunctions } from "pino";
import { PinoPretty } from "pino-pretty";

import type { LogOptions } from "./options.ts";
import { visible } from "./visible.ts";

/** Logs go to standard error, because standard output belongs to the result of a command. */
const STDERR = 2;
const formatters = { level: (label: string) => ({ level: label }) };

/** Makes a logger from the options. It writes JSON lines for machines or coloured lines for a terminal. */
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
      // The standard error of a driver's program also arrives here.
      messageFormat: (log, key) => visible(log[key] as string),
    }),
  );
}
