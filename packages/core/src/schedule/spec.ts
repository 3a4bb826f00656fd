import type { PlanDefinition } from "../plan/definition.ts";
import type { TaskRequest } from "../wire/submit.ts";

/** The treatment of a due time while an earlier run is running. */
export const overlapPolicies = ["skip", "queue", "allow", "cancel"] as const;
/**
 * `skip`: the due time is skipped. `queue`: it runs when the runs before it have ended. `allow`: it runs beside them. `cancel`: the running run is
 * cancelled, and the due time runs when that run has ended.
 */
export type Overlap = (typeof overlapPolicies)[number];

/** A schedule: the work of its runs, and their times. Durations are milliseconds, or text like `5m`; times are ISO 8601 with a zone, or milliseconds since 1970. */
export interface ScheduleSpec {
  /** Five fields, or six with seconds first, in `timeZone`. Give one of `cron`, `every`, `at` and `after`. */
  readonly cron?: string | undefined;
  /** Counted from `start`, or from the moment at which the schedule is added. At least a second. */
  readonly every?: number | string | undefined;
  /** Once, at this time; at once if the time is in the past. */
  readonly at?: number | string | undefined;
  /** Once, this long after the schedule was added. */
  readonly after?: number | string | undefined;
  /** The IANA time zone of `cron`, such as `Europe/Berlin`. @defaultValue "UTC" */
  readonly timeZone?: string | undefined;
  /** For `cron` and `every`: nothing is due before it. It is the first due time of `every`. */
  readonly start?: number | string | undefined;
  /** For `cron` and `every`: nothing is due after it. */
  readonly end?: number | string | undefined;
  /** The longest delay of a start after its due time, at most a day. The delay differs for each schedule and due time. @defaultValue 0 */
  readonly jitter?: number | string | undefined;
  /** @defaultValue "skip" */
  readonly overlap?: Overlap | undefined;
  /** The treatment of missed due times: the schedule was paused, or no node was running. */
  readonly catchUp?:
    | {
        /** The number of missed due times that run, the newest ones: 0 to 1,000. @defaultValue 1 */
        readonly limit?: number | undefined;
        /** Missed due times that are older do not run. @defaultValue any age */
        readonly window?: number | string | undefined;
      }
    | undefined;
  /** The number of runs after which the schedule ends. @defaultValue unlimited */
  readonly runs?: number | undefined;
  /** Each run is this task. Give one of `task`, `machine` and `plan`. */
  readonly task?: Omit<TaskRequest, "id"> | undefined;
  /** Each run is an instance of this machine. */
  readonly machine?: string | undefined;
  /** The machine's version. @defaultValue the newest */
  readonly version?: string | undefined;
  /** The machine's input. Plain data. */
  readonly input?: unknown;
  /** Each run is this plan. */
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

/** A schedule's spec, checked, with every default filled in. */
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

/** A due time is late until this time has passed: the loss of a host costs at most this much. After it, the due time was missed. */
export const LATE_MS = 10_000;

/** The limits of a schedule. */
export const scheduleLimits = {
  minEveryMs: 1_000,
  /** A day. */
  maxJitterMs: 86_400_000,
  catchUp: 1_000,
  /** The most runs at one time. */
  running: 100,
  /** The size of the runs that start at once: bytes of MessagePack. */
  startBytes: 800_000,
  /** The most due times that wait for the runs before them. */
  queued: 1_000,
  /** The last time that a NATS server can express, in the year 2262. */
  lastTime: 9_223_372_036_854,
} as const;
