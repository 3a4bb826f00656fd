import { PLAN } from "../base/built-in.ts";
import { InvalidError, isErgonError } from "../base/errors.ts";
import { isName } from "../base/id.ts";
import { isMap, sizeOf } from "../base/msgpack.ts";
import { checkPlan } from "../plan/check.ts";
import { taskLimits } from "../task/spec.ts";
import { Faults, duration, plainNumber, text, time, unknownName } from "../wire/option-checks.ts";
import { parseTaskRequest, type TaskRequest } from "../wire/submit.ts";
import { faultOfCron, faultOfTimeZone } from "./cron.ts";
import {
  LATE_MS,
  overlapPolicies,
  scheduleLimits,
  type Overlap,
  type RunSpec,
  type Schedule,
  type When,
} from "./spec.ts";

const fields: ReadonlySet<string> = new Set([
  ...["cron", "every", "at", "after", "timeZone", "start", "end", "jitter", "overlap", "catchUp", "runs"],
  ...["task", "machine", "version", "input", "plan"],
]);
const catchUpFields: ReadonlySet<string> = new Set(["limit", "window"]);

type Input = Readonly<Record<string, unknown>>;

/** Reads the input of a schedule. Throws `InvalidError` with an issue for each fault. */
export function parseSchedule(input: unknown): Schedule {
  if (!isMap(input)) throw new InvalidError("INVALID_BODY", "a schedule must be an object with its times and its run");
  const faults = new Faults();
  for (const name of Object.keys(input))
    if (!fields.has(name)) unknownName(name, name, { kind: "option", names: fields, page: "schedules" }, faults);
  const when = parseWhen(input, faults);
  const bounds = parseBounds(input, when, faults);
  const run = parseRun(input, faults);
  const schedule = {
    ...bounds,
    jitterMs: optional(input["jitter"], 0, (value) => duration("jitter", value, 0, scheduleLimits.maxJitterMs, faults)),
    overlap: parseOverlap(input["overlap"], faults),
    catchUp: parseCatchUp(input["catchUp"], faults),
    runs: optional(input["runs"], undefined, (value) =>
      plainNumber("runs", value, { whole: true, min: 1, max: Number.MAX_SAFE_INTEGER }, faults),
    ),
  };
  if (schedule.overlap === "allow" && when !== undefined && run !== undefined)
    checkRoom(when, run, schedule.catchUp.limit, faults);
  faults.throwIfAny();
  if (when === undefined || run === undefined) throw new Error("a schedule with a fault has been let through");
  return { when, run, ...schedule };
}

/** Checks that the schedule's record can hold all runs that a catch-up starts at once. Each of them carries its whole task or input. */
function checkRoom(when: When, run: RunSpec, limit: number, faults: Faults): void {
  const late = when.kind === "every" ? Math.ceil(LATE_MS / when.everyMs) : 1;
  const runs = Math.min(scheduleLimits.running, limit + late);
  const bytes = runs * sizeOf(run);
  if (bytes > scheduleLimits.startBytes)
    faults.add(
      "catchUp.limit",
      "INVALID_OPTION",
      `${runs} runs that start at once would have ${bytes} bytes; ${scheduleLimits.startBytes} are allowed`,
    );
}

function optional<T>(value: unknown, fallback: T, read: (value: unknown) => T | undefined): T {
  return value === undefined ? fallback : (read(value) ?? fallback);
}

function given(input: Input, names: readonly string[]): string[] {
  return names.filter((name) => input[name] !== undefined);
}

function parseWhen(input: Input, faults: Faults): When | undefined {
  const [kind = "cron", second] = given(input, ["cron", "every", "at", "after"]);
  if (second !== undefined)
    return faults.add(second, "INVALID_OPTION", `${kind} is given too; give one of cron, every, at and after`);
  if (kind !== "cron" && input["timeZone"] !== undefined)
    faults.add("timeZone", "INVALID_OPTION", `is for cron; ${kind} has none`);
  const { minEveryMs } = scheduleLimits;
  const { maxDurationMs } = taskLimits;
  switch (kind) {
    case "every": {
      const everyMs = duration("every", input["every"], minEveryMs, maxDurationMs, faults);
      return everyMs === undefined ? undefined : { kind, everyMs };
    }
    case "at": {
      const at = moment("at", input["at"], faults);
      return at === undefined ? undefined : { kind, at };
    }
    case "after": {
      const afterMs = duration("after", input["after"], 0, maxDurationMs, faults);
      return afterMs === undefined ? undefined : { kind, afterMs };
    }
    default:
      return parseCron(input["cron"], input["timeZone"] ?? "UTC", faults);
  }
}

function parseCron(cron: unknown, timeZone: unknown, faults: Faults): When | undefined {
  if (cron === undefined)
    return faults.add("cron", "INVALID_OPTION", "is missing; give one of cron, every, at and after");
  if (typeof timeZone !== "string")
    return faults.add("timeZone", "INVALID_OPTION", "must be a text such as Europe/Berlin");
  const zoneFault = faultOfTimeZone(timeZone);
  if (zoneFault !== undefined) return faults.add("timeZone", "INVALID_OPTION", zoneFault);
  if (typeof cron !== "string") return faults.add("cron", "INVALID_OPTION", 'must be a text such as "0 3 * * *"');
  // The library replaces "?" with the moment at which it parses the rule, and it parses the rule for each due time.
  if (cron.includes("?")) return faults.add("cron", "INVALID_OPTION", 'has a "?"; write "*" for any value');
  const fault = faultOfCron(cron);
  return fault === undefined ? { kind: "cron", cron, timeZone } : faults.add("cron", "INVALID_OPTION", fault);
}

function parseBounds(
  input: Input,
  when: When | undefined,
  faults: Faults,
): { readonly startAt?: number | undefined; readonly endAt?: number | undefined } {
  if (when?.kind === "at" || when?.kind === "after") {
    for (const name of given(input, ["start", "end"]))
      faults.add(name, "INVALID_OPTION", `is for cron and every; ${when.kind} says when already`);
    return {};
  }
  const startAt = input["start"] === undefined ? undefined : moment("start", input["start"], faults);
  const endAt = input["end"] === undefined ? undefined : moment("end", input["end"], faults);
  if (startAt !== undefined && endAt !== undefined && endAt < startAt)
    faults.add("end", "INVALID_OPTION", "is before start");
  return { startAt, endAt };
}

/** Reads a time that has one meaning everywhere. A text with a day and an hour must name its zone. */
function moment(name: string, value: unknown, faults: Faults): number | undefined {
  if (typeof value === "string" && /^\d{4}.*[T ]\d/.test(value) && !/(Z|[+-]\d\d:?\d\d)$/.test(value))
    return faults.add(name, "INVALID_OPTION", "must say its zone, such as 2030-01-31T08:00:00Z or …+01:00");
  const ms = time(name, value, faults);
  if (ms === undefined || ms <= scheduleLimits.lastTime) return ms === undefined ? undefined : Math.floor(ms);
  return faults.add(name, "INVALID_OPTION", "must be before the year 2262");
}

function parseOverlap(value: unknown, faults: Faults): Overlap {
  if (value === undefined) return "skip";
  const known = overlapPolicies.find((policy) => policy === value);
  return known ?? faults.add("overlap", "INVALID_OPTION", `must be one of ${overlapPolicies.join(", ")}`) ?? "skip";
}

function parseCatchUp(value: unknown, faults: Faults): Schedule["catchUp"] {
  if (value === undefined) return { limit: 1 };
  if (!isMap(value)) {
    faults.add("catchUp", "INVALID_OPTION", "must be an object with limit and window");
    return { limit: 1 };
  }
  for (const name of Object.keys(value))
    if (!catchUpFields.has(name))
      unknownName(`catchUp.${name}`, name, { kind: "option", names: catchUpFields, page: "schedules" }, faults);
  const limit = optional(value["limit"], 1, (given) =>
    plainNumber("catchUp.limit", given, { whole: true, min: 0, max: scheduleLimits.catchUp }, faults),
  );
  const windowMs = optional(value["window"], undefined, (given) =>
    duration("catchUp.window", given, 0, taskLimits.maxDurationMs, faults),
  );
  return windowMs === undefined ? { limit } : { limit, windowMs };
}

function parseRun(input: Input, faults: Faults): RunSpec | undefined {
  const [kind, second] = given(input, ["task", "machine", "plan"]);
  if (kind === undefined) return faults.add("task", "INVALID_OPTION", "is missing; give one of task, machine and plan");
  if (second !== undefined)
    return faults.add(second, "INVALID_OPTION", `${kind} is given too; give one of task, machine and plan`);
  if (kind !== "machine")
    for (const name of given(input, ["version", "input"]))
      faults.add(name, "INVALID_OPTION", `is for machine; it says nothing of a ${kind}`);
  if (kind === "task") return parseTask(input["task"], faults);
  if (kind === "plan") return parsePlan(input["plan"], faults);
  return parseMachine(input, faults);
}

function parsePlan(plan: unknown, faults: Faults): RunSpec {
  within("plan", faults, () => checkPlan(plan));
  return { kind: "machine", machine: PLAN, input: plan };
}

function parseMachine(input: Input, faults: Faults): RunSpec | undefined {
  const { machine } = input;
  if (typeof machine !== "string" || !isName(machine))
    return faults.add("machine", "INVALID_OPTION", `must be 1 to 64 letters, digits, "_" or "-"`);
  if (machine === PLAN) within("input", faults, () => checkPlan(input["input"]));
  return { kind: "machine", machine, version: text("version", input["version"], 64, faults), input: input["input"] };
}

function parseTask(task: unknown, faults: Faults): RunSpec | undefined {
  if (!isMap(task)) return faults.add("task", "INVALID_OPTION", "must be an object with at least a driver");
  if (task["id"] !== undefined)
    return faults.add(
      "task.id",
      "INVALID_OPTION",
      "a run must not have an id: Ergon makes it from the schedule's id and the due time",
    );
  within("task", faults, () => parseTaskRequest(task));
  return { kind: "task", task: task as unknown as Omit<TaskRequest, "id"> };
}

/** Runs a check, and prefixes its faults with the name of a part of the spec. */
function within(name: string, faults: Faults, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    if (!isErgonError(error)) throw error;
    for (const { field, code, message } of error.issues)
      faults.issues.push({ field: `${name}.${field}`, code, message: `${name}.${message}` });
    if (error.issues.length === 0) faults.issues.push({ field: name, code: error.code, message: error.message });
  }
}
