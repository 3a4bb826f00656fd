import path from "node:path";

import { command, echo, http, noop, sleep, type DriverDefinition } from "@ergon/agents";
import { InvalidError } from "@ergon/core";

import { isExecutable } from "../../is-executable.ts";
import { shippedDrivers } from "../shipped-drivers.ts";

/** The drivers of an agent on the command line. */
export interface DriverFlags {
  readonly driver: readonly string[];
  readonly concurrency?: number | undefined;
  readonly httpAllow?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  readonly contentType?: string | undefined;
}

type Shipped = (typeof shippedDrivers)[number];
type Factory = (flags: Omit<DriverFlags, "driver">) => DriverDefinition;

/** The drivers that come with Ergon, by name. */
const shipped: Readonly<Record<Shipped, Factory>> = {
  echo: ({ concurrency }) => echo({ concurrency }),
  noop: ({ concurrency }) => noop({ concurrency }),
  sleep: ({ concurrency }) => sleep({ concurrency }),
  http: ({ concurrency, httpAllow }) =>
    http({ concurrency, allow: httpAllow?.includes("all") === true ? "all" : httpAllow }),
};

/** Throws `InvalidError` if there is no such program, because an agent that cannot start it would fail every attempt. */
function requireProgram(program: string): void {
  const places = program.includes(path.sep)
    ? [program]
    : (process.env["PATH"] ?? "").split(path.delimiter).map((folder) => path.join(folder, program));
  if (places.some(isExecutable)) return;
  const where = program.includes(path.sep) ? "is not an executable file" : "is not on PATH";
  throw new InvalidError("INVALID_OPTION", `the program ${JSON.stringify(program)} ${where}`);
}

/** Returns the drivers that the flags name: shipped drivers by name, or a program under one name. */
export function driversOf(flags: DriverFlags, program: readonly string[]): readonly DriverDefinition[] {
  const { driver: names, concurrency, env, contentType } = flags;
  const [first, ...more] = names;
  if (program.length > 0) {
    requireProgram(program[0] ?? "");
    if (first !== undefined && more.length === 0)
      return [command({ driver: first, command: program, concurrency, env, contentType })];
    throw new InvalidError(
      "INVALID_OPTION",
      "a program serves exactly one driver: write one --driver before the program",
    );
  }
  const known = shippedDrivers.join(", ");
  if (first === undefined) {
    throw new InvalidError(
      "INVALID_OPTION",
      `no driver is given: add --driver with ${known}, or with a name and a program after --`,
    );
  }
  return names.map((name) => {
    const factory = Object.hasOwn(shipped, name) ? shipped[name as Shipped] : undefined;
    if (factory !== undefined) return factory(flags);
    throw new InvalidError(
      "INVALID_DRIVER",
      `driver ${name} is not bundled with Ergon (bundled: ${known}): add the program that does the work after --`,
    );
  });
}
