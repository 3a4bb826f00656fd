import {
  ConflictError,
  InvalidError,
  describeSchedule,
  isErgonError,
  overlapPolicies,
  type Client,
  type MachineView,
  type ScheduleSpec,
} from "@ergon/core";
import { SCHEDULE, JSON_TYPE, TEXT_TYPE, isMap } from "@ergon/core/engine";
import { Option, type Command } from "commander";

import type { Io } from "../io.ts";
import { contentTypeOf, readInput, readJson, readPayload } from "../payload.ts";
import { SHOWN, printSchedule } from "../schedule-view.ts";
import { durationText, repeated, type Cli } from "../session.ts";
import { unservedBy } from "../unserved.ts";
import { parseYaml } from "../yaml.ts";

const examples = `
Examples:
  ergon schedule add nightly --cron "0 3 * * *" --tz Europe/Berlin --driver report
  ergon schedule add beat --every 30s --driver ping --payload '{"to": "all"}' --overlap queue
  ergon schedule add later --after 10m --machine order --input '{"amount": 5}'
  ergon schedule add nightly --file nightly.yaml --replace

The file holds a spec in YAML or JSON (docs/schedules.md); flags go before it. Prints the schedule with its next runs.`;

interface Flags {
  readonly cron?: string;
  readonly tz?: string;
  readonly every?: string;
  readonly at?: string;
  readonly after?: string;
  readonly start?: string;
  readonly end?: string;
  readonly jitter?: string;
  readonly overlap?: ScheduleSpec["overlap"];
  readonly catchUp?: string;
  readonly catchUpWindow?: string;
  readonly runs?: string;
  readonly driver?: string;
  readonly payload?: string;
  readonly machine?: string;
  readonly machineVersion?: string;
  readonly input?: string;
  readonly plan?: string;
  readonly file?: string;
  readonly replace?: boolean;
  readonly correlationId?: string;
  readonly tag?: readonly string[];
  readonly retention?: string;
}

export function addSchedule(group: Command, cli: Cli): void {
  group
    .command("add")
    .summary("add a schedule")
    .description(
      "Adds a schedule. A repeated add with the same id and spec finds the schedule that exists. Exit code 5 when the id has another spec; --replace replaces that spec.",
    )
    .argument("<id>", "the schedule's id; its runs have the ids <id>=<due time>")
    .optionsGroup("Due times:")
    .option("--cron <rule>", 'minute hour day month weekday, or six fields with seconds first: "0 3 * * *"')
    .option("--tz <zone>", "the IANA time zone of --cron (default: UTC)")
    .option(
      "--every <duration>",
      "the time between two runs, such as 30s, counted from --start or from now",
      durationText,
    )
    .option("--at <time>", "run once at this time: 2030-01-31T08:00:00Z")
    .option("--after <duration>", "run once after this time, such as 10m", durationText)
    .option("--start <time>", "no run is due before this time")
    .option("--end <time>", "no run is due after this time")
    .option("--jitter <duration>", "start each run later by a random time up to this (default: 0)", durationText)
    .optionsGroup("Runs:")
    .option("--driver <driver>", "each run is a task of this driver")
    .option("--payload <payload>", "the task's payload; - reads standard input, @file reads a file")
    .option("--machine <machine>", "each run is an instance of this machine")
    .option("--machine-version <version>", "the machine's version (default: the newest)")
    .option("--input <json>", "the machine's input as JSON; - reads standard input, @file reads a file")
    .option("--plan <file>", "each run is this plan, in YAML or JSON")
    .optionsGroup("Settings:")
    .addOption(
      new Option(
        "--overlap <policy>",
        "treatment of a due time while an earlier run is running (default: skip)",
      ).choices(overlapPolicies),
    )
    .option("--catch-up <n>", "how many missed runs to run late (default: 1)")
    .option("--catch-up-window <duration>", "skip missed runs that are older than this, such as 1h", durationText)
    .option("--runs <n>", "end the schedule after this many runs")
    .option("--correlation-id <id>", "an id that the schedule's runs share (default: the schedule's id)")
    .option("--tag <tag>", "a tag to list by; repeatable", repeated)
    .option(
      "--retention <duration>",
      "how long it stays readable after its end, such as 1h (default: 10s)",
      durationText,
    )
    .option("--file <file>", "read the spec from this file, in YAML or JSON")
    .option("--replace", "replace the spec of an existing schedule")
    .addHelpText("after", examples)
    .action(
      cli.clientAction(async ({ io, output }, client, id: string, flags: Flags) => {
        const spec = { ...(flags.file === undefined ? {} : await readSpec(flags.file)), ...(await specOf(io, flags)) };
        // Check the whole spec here, so that the user sees all faults at once, even for a spec that replaces another.
        const { parseSchedule } = await import("../parse-schedule.ts");
        const { run } = parseSchedule(spec);
        const view = await store(client, id, spec, flags);
        printSchedule(output, describeSchedule(view, SHOWN));
        // The schedule is stored by now, so a failure to find warnings is not an error.
        const unserved = output.json ? [] : await unservedBy(client, run).catch(() => []);
        for (const line of unserved) output.note(`ergon: ${line}`);
      }),
    );
}

async function store(client: Client, id: string, spec: ScheduleSpec, flags: Flags): Promise<MachineView> {
  const { correlationId, tag: tags, retention } = flags;
  const options = Object.fromEntries(
    Object.entries({ correlationId, tags, retention }).filter(([, value]) => value !== undefined),
  );
  try {
    const view = await (await client.schedule({ id, ...spec }, options)).get();
    if (view.status === "running") return view;
    throw hasEnded(id, view);
  } catch (error) {
    if (!isErgonError(error) || error.code !== "ID_CONFLICT") throw error;
    const view = await client.instance(id).get();
    if (view.machine === SCHEDULE && view.status !== "running") throw hasEnded(id, view);
    if (flags.replace === true) return client.instance(id).send({ type: "update", spec });
    const advice = view.machine === SCHEDULE ? "--replace gives it this one" : "give it another id";
    throw new ConflictError("ID_CONFLICT", `${id} exists with another spec: ${advice}`, { cause: error });
  }
}

function hasEnded(id: string, { status }: MachineView): ConflictError {
  return new ConflictError(
    "TASK_ENDED",
    `schedule ${id} has ended just now: ${status}; its id is free again 10 s after the end, or after its --retention`,
  );
}

/** Makes the spec that flags describe. A later check covers the values with everything else. */
async function specOf(io: Io, flags: Flags): Promise<ScheduleSpec> {
  const { cron, every, at, after, start, end, jitter, overlap, runs, machine } = flags;
  const catchUp =
    flags.catchUp === undefined && flags.catchUpWindow === undefined
      ? undefined
      : given({ limit: flags.catchUp, window: flags.catchUpWindow });
  return given({
    ...{ cron, timeZone: flags.tz, every, at, after, start, end, jitter, overlap, catchUp, runs },
    task: await taskOf(io, flags),
    machine,
    version: flags.machineVersion,
    input: await readJson(io, flags.input, "--input"),
    plan: flags.plan === undefined ? undefined : await readYaml(flags.plan),
  }) as ScheduleSpec;
}

async function taskOf(io: Io, { driver, payload }: Flags): Promise<ScheduleSpec["task"]> {
  if (driver === undefined) {
    if (payload !== undefined)
      throw new InvalidError("INVALID_OPTION", "--payload needs --driver: only a task has a payload");
    return undefined;
  }
  const data = await readPayload(io, payload);
  if (data.length === 0) return { driver };
  const contentType = contentTypeOf(data);
  const text = Buffer.from(data).toString();
  if (contentType === JSON_TYPE) return { driver, payload: JSON.parse(text) as unknown };
  return contentType === TEXT_TYPE ? { driver, text } : { driver, payload: data, contentType };
}

async function readSpec(file: string): Promise<object> {
  const spec = await readYaml(file);
  if (isMap(spec)) return spec;
  throw new InvalidError("INVALID_BODY", `${file}: must be a map of options, in YAML or JSON`);
}

async function readYaml(file: string): Promise<unknown> {
  return parseYaml(await readInput(file), file);
}

function given(fields: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
