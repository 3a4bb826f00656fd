import { command, echo, http, noop, sleep, type DriverDefinition } from "@ergon/agents";
import { InvalidError } from "@ergon/core";

/** What an agent of the command line is to serve. */
export interface DriverFlags {
  readonly driver: readonly string[];
  readonly concurrency?: number | undefined;
  readonly httpAllow?: readonly string[] | undefined;
  readonly env?: readonly string[] | undefined;
  readonly contentType?: string | undefined;
}

type Factory = (flags: Omit<DriverFlags, "driver">) => DriverDefinition;

/** The drivers that come with Ergon, by name. */
const shipped: Readonly<Record<string, Factory>> = {
  echo: ({ concurrency }) => echo({ concurrency }),
  noop: ({ concurrency }) => noop({ concurrency }),
  sleep: ({ concurrency }) => sleep({ concurrency }),
  http: ({ concurrency, httpAllow }) =>
    http({ concurrency, allow: httpAllow?.includes("all") === true ? "all" : httpAllow }),
};

export const shippedDrivers: readonly string[] = Object.keys(shipped);

/** The drivers that the flags ask for: shipped ones by name, or a program under one name. */
export function driversOf(flags: DriverFlags, program: readonly string[]): readonly DriverDefinition[] {
  const { driver: names, concurrency, env, contentType } = flags;
  const [first, ...more] = names;
  if (program.length > 0) {
    if (first !== undefined && more.length === 0)
      return [command({ driver: first, command: program, concurrency, env, contentType })];
    throw new InvalidError("INVALID_OPTION", "a program serves one driver: give one --driver before it");
  }
  if (first === undefined)
    throw new InvalidError(
      "INVALID_OPTION",
      `say what to serve with --driver: ${shippedDrivers.join(", ")}, or a name and a program after --`,
    );
  return names.map((name) => {
    const factory = Object.hasOwn(shipped, name) ? shipped[name] : undefined;
    if (factory !== undefined) return factory(flags);
    throw new InvalidError(
      "INVALID_DRIVER",
      `driver ${name} does not come with Ergon (${shippedDrivers.join(", ")} do): give the program that does the work after --`,
    );
  });
}
