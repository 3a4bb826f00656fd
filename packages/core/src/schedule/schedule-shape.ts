import {
  all,
  anything,
  byTag,
  count,
  fields,
  flag,
  id,
  line,
  list,
  map,
  name,
  numberFrom,
  oneOf,
  optional,
  such,
  text,
  time,
  type Shape,
} from "../base/shape.ts";
import { faultOfCron, faultOfTimeZone } from "./cron.ts";
import type { Run, ScheduleContext, ScheduleCounts } from "./schedule-context.ts";
import { overlapPolicies, scheduleLimits, type RunSpec, type Schedule, type When } from "./spec.ts";

// This is the shape of a stored schedule.

const duration = numberFrom(0, Number.MAX_SAFE_INTEGER);

/** The rules that have passed the check. Schedules share rules, and parsing one takes longer than all other checks here. */
const good = new Set<string>();
const MOST_KEPT = 1_000;

const cron: Shape = such("a cron rule and its time zone", (value) => {
  const { cron: rule, timeZone } = value as { readonly cron: unknown; readonly timeZone: unknown };
  if (typeof rule !== "string" || typeof timeZone !== "string") return false;
  const key = `${timeZone} ${rule}`;
  if (good.has(key)) return true;
  if (faultOfTimeZone(timeZone) !== undefined || faultOfCron(rule) !== undefined) return false;
  if (good.size >= MOST_KEPT) good.clear();
  good.add(key);
  return true;
});

const when: Shape = byTag("kind", {
  cron,
  every: fields({ everyMs: numberFrom(1, Number.MAX_SAFE_INTEGER) }),
  at: fields({ at: time }),
  after: fields({ afterMs: duration }),
} satisfies Record<When["kind"], Shape>);

const run: Shape = byTag("kind", {
  task: fields({ task: all(map, fields({ driver: name })) }),
  machine: fields({ machine: name, version: optional(text), input: anything }),
} satisfies Record<RunSpec["kind"], Shape>);

const schedule: Shape = fields<Schedule>({
  when,
  startAt: optional(time),
  endAt: optional(time),
  jitterMs: numberFrom(0, scheduleLimits.maxJitterMs),
  overlap: oneOf(...overlapPolicies),
  catchUp: fields({ limit: count, windowMs: optional(duration) }),
  runs: optional(count),
  run,
});

const started: Shape = fields<Run>({ id, due: optional(time), startedAt: time, cancelling: optional(flag) });

const counts: Shape = fields<ScheduleCounts>({
  started: count,
  triggered: count,
  succeeded: count,
  failed: count,
  cancelled: count,
  skipped: count,
  missed: count,
});

const context: Shape = fields<ScheduleContext>({
  id: text,
  schedule,
  addedAt: time,
  upTo: time,
  next: optional(fields({ due: time, at: time })),
  running: list(started),
  queued: list(time),
  counts,
  last: optional(started),
  lastFailure: optional(fields({ code: line, message: text, retryable: flag, run: id, at: time })),
});

/** A schedule's snapshot. */
export const scheduleShape: Shape = fields({ context });
