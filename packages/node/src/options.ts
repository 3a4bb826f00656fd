import { InvalidError, parseDuration, type Issue, type NatsOptions } from "@ergon/core";
import { isName } from "@ergon/core/engine";
import type { CommitMode } from "@ergon/core/nats";
import { z } from "zod";

import type { MachineSource } from "./load-machines.ts";
import { nodeDefaults } from "./node-defaults.ts";

const commitModes = ["auto", "pipelined", "grouped"] as const satisfies readonly CommitMode[];
const logLevels = ["debug", "info", "warn", "error", "silent"] as const;
const logFormats = ["auto", "json", "pretty"] as const;

export interface LogOptions {
  /** @defaultValue "info" */
  readonly level?: (typeof logLevels)[number] | undefined;
  /** `auto` writes pretty lines on a terminal, otherwise JSON lines. @defaultValue "auto" */
  readonly format?: (typeof logFormats)[number] | undefined;
}

/** The settings of a driver. A driver needs no such entry. */
export interface DriverOptions {
  /** The subject of the driver's plain agents, such as that of any NATS micro service. @defaultValue `<prefix>.<namespace>.agent.<driver>` */
  readonly subject?: string | undefined;
  /** The most attempts in flight per node. @defaultValue the number that the agents announce, or 256 for plain agents */
  readonly limit?: number | undefined;
}

/** Options of a node. `shards`, `buckets` and `replicas` are fixed when the first node creates the namespace, and later nodes take its values. */
export interface NodeOptions {
  readonly nats?: NatsOptions | undefined;
  /** Namespaces share nothing. @defaultValue "default" */
  readonly namespace?: string | undefined;
  /** The first part of every subject and bucket name. @defaultValue "ergon" */
  readonly prefix?: string | undefined;
  /** The first part of the node's id. The node appends a unique part. @defaultValue the host's name */
  readonly id?: string | undefined;
  /** The number of shards, the units of ownership. More shards spread the load more evenly, and cost a key each. @defaultValue 64 */
  readonly shards?: number | undefined;
  /** The number of streams that hold the shards. More streams write faster if the server syncs every write. @defaultValue 1 */
  readonly buckets?: number | undefined;
  /** The number of servers that hold a copy of everything stored: 1, 3 or 5. @defaultValue 1 */
  readonly replicas?: number | undefined;
  /** The time for which a vanished node still counts as alive, in milliseconds. @defaultValue 6,000 */
  readonly sessionTtlMs?: number | undefined;
  /**
   * Selects how a node writes to a bucket with one replica. `pipelined` sends many writes at a time. `grouped` sends one atomic batch at a time, which is
   * faster if the server syncs every write. `auto` measures both when the node starts. Replicated buckets are always grouped. @defaultValue "auto"
   */
  readonly commitMode?: CommitMode | undefined;
  readonly drivers?: Readonly<Record<string, DriverOptions>> | undefined;
  /** Users' machines that the node runs: XState machines, results of `defineMachine`, or files that export them. @defaultValue none */
  readonly machines?: readonly MachineSource[] | undefined;
  readonly log?: LogOptions | undefined;
  /** The longest time that a stop waits for pending work, in milliseconds. @defaultValue 30,000 */
  readonly drainMs?: number | undefined;
}

/** Options with every default filled in. */
export interface ResolvedNodeOptions {
  readonly nats: NatsOptions;
  readonly namespace: string;
  readonly prefix: string;
  readonly id: string | undefined;
  readonly shards: number;
  readonly buckets: number;
  readonly replicas: number;
  readonly sessionTtlMs: number;
  readonly commitMode: CommitMode;
  readonly drivers: Readonly<Record<string, DriverOptions>>;
  readonly machines: readonly MachineSource[];
  readonly log: Required<LogOptions>;
  readonly drainMs: number;
}

const fault = (message: string) => ({ error: message });
const text = z.string(fault("must be a text")).min(1, fault("must not be empty"));
const name = z.string(fault("must be a text")).refine(isName, fault('must be 1 to 64 letters, digits, "_" or "-"'));

/** Accepts text for values, because environment variables and flags have only text. */
const integer = (min: number, max: number) =>
  z.preprocess(
    (value) => (typeof value === "string" && /^\s*[+-]?\d+\s*$/.test(value) ? Number(value) : value),
    z
      .int(fault(`must be a whole number from ${min} to ${max}`))
      .min(min, fault(`must be at least ${min}`))
      .max(max, fault(`must be at most ${max}`)),
  );

const duration = (min: string, max: string) =>
  z.preprocess(
    (value) => (typeof value === "string" ? (parseDuration(value) ?? value) : value),
    z
      .number(fault("must be a duration such as 500ms, 30s or 5m"))
      .min(parseDuration(min) ?? 0, fault(`must be at least ${min}`))
      .max(parseDuration(max) ?? 0, fault(`must be at most ${max}`)),
  );

const BOOLEANS: Readonly<Record<string, boolean>> = {
  true: true,
  "1": true,
  yes: true,
  false: false,
  "0": false,
  no: false,
};
const boolean = z.preprocess(
  (value) => (typeof value === "string" ? (BOOLEANS[value.toLowerCase()] ?? value) : value),
  z.boolean(fault("must be true or false")),
);

const strict = <T extends z.core.$ZodLooseShape>(shape: T, what = "must be a map of options") =>
  z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? "no such option" : what),
  });

const drivers = z.preprocess(
  parseJson,
  z.record(
    name,
    strict({
      subject: text
        .refine((subject) => !/[\s*>]/.test(subject), fault("must be a subject without wildcards"))
        .optional(),
      limit: integer(1, 1_000_000).optional(),
    }),
    fault('must be a map such as {"mail": {"limit": 10}}'),
  ),
);

const MACHINES = "must be machines, or files that export them";
/** A list in the environment is a text with commas. */
const machines = z.preprocess(
  (value) => (typeof value === "string" ? value.split(",").map((file) => file.trim()) : value),
  z.array(
    z.union([text, z.custom<MachineSource>((value) => typeof value === "object" && value !== null)], fault(MACHINES)),
    fault(MACHINES),
  ),
);

const URLS = "must be one or more URLs such as nats://host:4222";
const nats = strict({
  servers: z.union([text, z.array(text).min(1, fault(URLS))], fault(URLS)).optional(),
  name: text.optional(),
  credsFile: text.optional(),
  user: text.optional(),
  password: text.optional(),
  token: text.optional(),
  nkeySeed: text.optional(),
  tls: strict({
    caFile: text.optional(),
    certFile: text.optional(),
    keyFile: text.optional(),
    handshakeFirst: boolean.optional(),
  }).optional(),
  inboxPrefix: text.optional(),
  waitMs: duration("0ms", "24h").optional(),
  pingMs: duration("100ms", "1h").optional(),
});

const schema = strict({
  nats: nats.default({}),
  namespace: name.default(nodeDefaults.namespace),
  prefix: name.default(nodeDefaults.prefix),
  id: name.optional(),
  shards: integer(1, 4_096).default(nodeDefaults.shards),
  buckets: integer(1, 256).default(nodeDefaults.buckets),
  replicas: integer(1, 5)
    .refine((count) => count % 2 === 1, fault("must be 1, 3 or 5"))
    .default(nodeDefaults.replicas),
  sessionTtlMs: duration("1s", "10m").default(nodeDefaults.sessionTtlMs),
  commitMode: z.enum(commitModes, fault(`must be one of ${commitModes.join(", ")}`)).default(nodeDefaults.commitMode),
  drivers: drivers.default({}),
  machines: machines.default([]),
  log: strict({
    level: z.enum(logLevels, fault(`must be one of ${logLevels.join(", ")}`)).default(nodeDefaults.log.level),
    format: z.enum(logFormats, fault(`must be one of ${logFormats.join(", ")}`)).default(nodeDefaults.log.format),
  }).default(nodeDefaults.log),
  drainMs: duration("0ms", "1h").default(nodeDefaults.drainMs),
}).refine(({ shards, buckets }) => buckets <= shards, { path: ["buckets"], error: "must not be more than shards" });

const SECRETS: ReadonlySet<string> = new Set(["nats.password", "nats.token", "nats.nkeySeed"]);

/**
 * Fills in the defaults. Throws `InvalidError` (`INVALID_CONFIGURATION`), which names every faulty key, not only the first one.
 * `nameOf` returns the user's name of a key, such as its environment variable.
 */
export function resolveNodeOptions(
  options: object = {},
  nameOf: (key: string) => string = (key) => key,
): ResolvedNodeOptions {
  const result = schema.safeParse(options);
  // Every reader of these options treats absent and `undefined` alike.
  if (result.success) return { id: undefined, ...result.data } as ResolvedNodeOptions;
  throw invalidConfiguration(result.error.issues.flatMap((issue) => issuesOf(issue, options, nameOf)));
}

/** Makes one error for all faults of a configuration, with a line for each fault. */
function invalidConfiguration(issues: readonly Issue[]): InvalidError {
  const lines = issues.map(({ field, message }) => `${field}: ${message}`);
  return new InvalidError("INVALID_CONFIGURATION", lines.join("\n"), { issues });
}

function issuesOf(issue: z.core.$ZodIssue, options: object, nameOf: (key: string) => string): Issue[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      field: nameOf([...issue.path, key].join(".")),
      code: "UNKNOWN_OPTION",
      message: "no such option",
    }));
  }
  const key = issue.path.join(".");
  const value = valueAt(options, issue.path);
  const shown =
    SECRETS.has(key) || value === undefined || key.startsWith("nats.servers") ? "" : `, not ${JSON.stringify(value)}`;
  const message =
    issue.code === "invalid_key" ? `must have names of 1 to 64 letters, digits, "_" or "-" as keys` : issue.message;
  return [{ field: nameOf(key), code: "INVALID_OPTION", message: `${message}${shown}` }];
}

function valueAt(options: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], options);
}

function parseJson(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    // The schema's message describes the expected value.
    return value;
  }
}
