import type { PlanDefinition } from "../plan/definition.ts";
import type { TaskRequest } from "../wire/submit.ts";

/** The treatment of a due time while an earlier run is running. */
export const overlapPolicies = ["skip", "queue", "allow", "cancel"] as const;
/**
 * The policy for a due time whose schedule has a running run. `skip` skips the due time. `queue` starts its run after the runs before it have ended.
 * `allow` starts its run beside them. `cancel` cancels the running run, and starts the new one after that has ended.
 */
export type Overlap = (typeof overlapPolicies)[number];

/**
 * A schedule has the work of its runs and their times. Durations are milliseconds, or text like `5m`; times are ISO 8601 with a zone, or milliseconds
 * since 1970.
 */
export interface ScheduleSpec {
  /** A cron rule of five fields, or of six with seconds first, in `timeZone`. Give one of `cron`, `every`, `at` and `after`. */
  readonly cron?: string | undefined;
  /** The interval between due times, at least one second. It counts from `start`, or from the moment at which the schedule is added. */
  readonly every?: number | string | undefined;
  /** The time of a single run. The run starts at once if the time is in the past. */
  readonly at?: number | string | undefined;
  /** The delay of a single run after the schedule is added. */
  readonly after?: number | string | undefined;
  /** The IANA time zone of `cron`, such as `Europe/Berlin`. @defaultValue "UTC" */
  readonly timeZone?: string | undefined;
  /** The time before which nothing is due, for `cron` and `every`. It is the first due time of `every`. @defaultValue none */
  readonly start?: number | string | undefined;
  /** The time after which nothing is due, for `cron` and `every`. @defaultValue none */
  readonly end?: number | string | undefined;
  /** The longest delay of a start after its due time, at most a day. The delay differs for each schedule and due time. @defaultValue 0 */
  readonly jitter?: number | string | undefined;
  /** The policy for a due time while an earlier run is running. @defaultValue "skip" */
  readonly overlap?: Overlap | undefined;
  /** The policy for due times that were missed because the schedule was paused or no node was running. */
  readonly catchUp?:
    | {
        /** The number of missed due times that run, from 0 to 1,000. The newest ones run. @defaultValue 1 */
        readonly limit?: number | undefined;
        /** The age, in milliseconds or as a text, beyond which missed due times do not run. @defaultValue any age */
        readonly window?: number | string | undefined;
      }
    | undefined;
  /** The number of runs after which the schedule ends. @defaultValue unlimited */
  readonly runs?: number | undefined;
  /** The task of each run. Give one of `task`, `machine` and `plan`. */
  readonly task?: Omit<TaskRequest, "id"> | undefined;
  /** The machine of which each run is an instance. */
  readonly machine?: string | undefined;
  /** The machine's version. @defaultValue the newest */
  readonly version?: string | undefined;
  /** The machine's input, which must be plain data. */
  readonly input?: unknown;
  /** The plan of each run. */
  readonly plan?: PlanDefinition | undefined;
}

/** The rule of a schedule's due times. Times and durations are milliseconds. */
export type When =
  | { readonly kind: "cron"; readonly cron: string; readonly timeZone: string }
  | { readonly kind: "every"; readonly everyMs: number }
  | { readonly kind: "at"; readonly at: number }
  | { readonly kind: "after"; readonly afterMs: number };

/** The work of each run. */
export type RunSpec =
  | { readonly kind: "task"; readonly task: Omit<TaskRequest, "id"> }
  | {
      readonly kind: "machine";
      readonly machine: string;
      readonly version?: string | undefined;
      readonly input?: unknown;
    };

/** A checked spec with all defaults filled in. */
export interface Schedule {
  readonly when: When;
  readonly startAt?: number | undefined;
  readonly endAt?: number | undefined;
  readonly jitterMs: number;
  readonly overlap: Overlap;
  readonly catchUp: { readonly limit: number; readonly windowMs?: number | undefined };
  readonly runs?: number | undefined;
  readonly run: RunSpec;
}

/** A due time counts as late for this time, and as missed after it. The loss of a host delays runs by at most this much. */
export const LATE_MS = 10_000;

/** The limits of a schedule. */
export const scheduleLimits = {
  minEveryMs: 1_000,
  /** A day. */
  maxJitterMs: 86_400_000,
  catchUp: 1_000,
  /** The most runs at one time. */
  running: 100,
  /** The size of the runs that start at once, in bytes of MessagePack. */
  startBytes: 800_000,
  /** The most due times that wait for the runs before them. */
  queued: 1_000,
  /** The last time that a NATS server can express, in the year 2262. */
  lastTime: 9_223_372_036_854,
} as const;
