import { isoTime } from "../base/clock.ts";
import { formatDuration } from "../base/duration.ts";
import { sizeOf } from "../base/msgpack.ts";
import { payloadBytesOf } from "../plan/start-step.ts";
import type { Failure } from "../task/task-context.ts";
import type { MachineView } from "../views/machine-view.ts";
import { timetable, type Run, type ScheduleContext, type ScheduleCounts } from "./schedule-context.ts";
import type { Overlap, RunSpec } from "./spec.ts";
import { nextDues } from "./times.ts";

/** A run as readers see it. Times are ISO 8601 in UTC. */
export interface RunView {
  readonly id: string;
  readonly due?: string;
  readonly startedAt: string;
}

/** A schedule as readers see it. Times are ISO 8601 in UTC. */
export interface ScheduleView {
  readonly id: string;
  /** One of `waiting`, `paused` and `finishing` (nothing more is due, but runs are running), or the status of its end. */
  readonly status: string;
  /** The rule of its due times, as a text for people. */
  readonly when: string;
  /** The driver of each run's task, or the machine of each run. */
  readonly what: string;
  /** The size of a task's payload, or of the input of a machine or plan. */
  readonly payloadBytes: number;
  /** A task's options without driver and payload, or the requested version of a machine. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** The IANA time zone of a cron rule. */
  readonly timeZone?: string;
  /** The time before which nothing is due. Nothing is due after `end`. */
  readonly start?: string;
  readonly end?: string;
  readonly jitterMs: number;
  readonly catchUp: { readonly limit: number; readonly windowMs?: number | undefined };
  /** The number of runs after which the schedule ends. */
  readonly runs?: number;
  readonly overlap: Overlap;
  /** The next due times, without jitter. The list is empty if the schedule is paused or has ended. */
  readonly next: readonly string[];
  readonly last?: RunView;
  readonly running: readonly RunView[];
  /** The due times that wait for earlier runs. */
  readonly queued: readonly string[];
  readonly counts: ScheduleCounts;
  readonly lastFailure?: Failure & { readonly run: string; readonly at: string };
  readonly correlationId?: string;
  readonly tags?: readonly string[];
}

/** Makes a schedule's view from the view of its instance, with its next `count` due times. */
export function describeSchedule(view: MachineView, count: number): ScheduleView {
  const context = view.context as ScheduleContext;
  const { schedule, running, queued, counts, last, lastFailure } = context;
  const isWaiting = view.status === "running" && view.state === "waiting";
  return {
    id: view.id,
    status: view.status === "running" ? view.state : view.status,
    when: whenText(context),
    what: whatText(schedule.run),
    payloadBytes: bytesOf(schedule.run),
    ...optionsOf(schedule.run),
    ...(schedule.when.kind === "cron" ? { timeZone: schedule.when.timeZone } : {}),
    ...(schedule.startAt === undefined ? {} : { start: isoTime(schedule.startAt) }),
    ...(schedule.endAt === undefined ? {} : { end: isoTime(schedule.endAt) }),
    jitterMs: schedule.jitterMs,
    catchUp: schedule.catchUp,
    ...(schedule.runs === undefined ? {} : { runs: schedule.runs }),
    overlap: schedule.overlap,
    next: isWaiting ? nextDues(timetable(context), context.upTo, count).map(isoTime) : [],
    running: running.map(runView),
    queued: queued.map(isoTime),
    counts,
    ...(last === undefined ? {} : { last: runView(last) }),
    ...(lastFailure === undefined ? {} : { lastFailure: { ...lastFailure, at: isoTime(lastFailure.at) } }),
    ...(view.correlationId === undefined ? {} : { correlationId: view.correlationId }),
    ...(view.tags === undefined ? {} : { tags: view.tags }),
  };
}

function runView({ id, due, startedAt }: Run): RunView {
  return { id, ...(due === undefined ? {} : { due: isoTime(due) }), startedAt: isoTime(startedAt) };
}

function whatText(run: RunSpec): string {
  return run.kind === "task" ? run.task.driver : run.machine;
}

function bytesOf(run: RunSpec): number {
  return run.kind === "task" ? payloadBytesOf(run.task) : sizeOf(run.input);
}

function optionsOf(run: RunSpec): { readonly options?: Readonly<Record<string, unknown>> } {
  if (run.kind === "machine") return run.version === undefined ? {} : { options: { version: run.version } };
  const { driver: _, payload: __, text: ___, base64: ____, ...options } = run.task;
  return Object.keys(options).length === 0 ? {} : { options };
}

function whenText({ schedule: { when }, addedAt }: ScheduleContext): string {
  switch (when.kind) {
    case "cron":
      return `${when.cron} ${when.timeZone}`;
    case "every":
      return `every ${formatDuration(when.everyMs)}`;
    case "at":
      return `at ${isoTime(when.at)}`;
    default:
      return `at ${isoTime(addedAt + when.afterMs)}`;
  }
}
