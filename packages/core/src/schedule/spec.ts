import type { PlanDefinition } from "../plan/definition.ts";
import type { TaskRequest } from "../wire/submit.ts";

/** What happens to a due time that comes while an earlier run goes on. */
export const overlapPolicies = ["skip", "queue", "allow", "cancel"] as const;
/**
 * `skip`: it is passed over. `queue`: it runs when the runs before it have ended. `allow`: it runs beside them. `cancel`: the running one is
 * cancelled, and this one runs when that has ended.
 */
export type Overlap = (typeof overlapPolicies)[number];

/** What a schedule starts, and when. Durations are milliseconds, or text like `5m`; times are ISO 8601 with a zone, or milliseconds since 1970. */
export interface ScheduleSpec {
  /** Five fields, or six with seconds first, in `timeZone`. Give one of `cron`, `every`, `at` and `after`. */
  readonly cron?: string | undefined;
  /** Counted from `start`, or from the moment at which the schedule is added. At least a second. */
  readonly every?: number | string | undefined;
  /** Once; what is past is run at once. */
  readonly at?: number | string | undefined;
  /** Once, so long after the schedule was added. */
  readonly after?: number | string | undefined;
  /** The IANA time zone of `cron`, such as `Europe/Berlin`. @defaultValue "UTC" */
  readonly timeZone?: string | undefined;
  /** Of `cron` and `every`: nothing is due before it; the first due time of `every`. */
  readonly start?: number | string | undefined;
  /** Of `cron` and `every`: nothing is due after it. */
  readonly end?: number | string | undefined;
  /** Each run starts up to so long after its due time, differently for each schedule and due time. At most a day. @defaultValue 0 */
  readonly jitter?: number | string | undefined;
  /** @defaultValue "skip" */
  readonly overlap?: Overlap | undefined;
  /** What becomes of due times at which the schedule was paused, or nobody was there to run it. */
  readonly catchUp?:
    | {
        /** So many of them are run, the newest: 0 to 1,000. @defaultValue 1 */
        readonly limit?: number | undefined;
        /** Only those are run that are not older. @defaultValue any age */
        readonly window?: number | string | undefined;
      }
    | undefined;
  /** The schedule ends after so many runs. @defaultValue it does not */
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

/** When a schedule is due. Times and durations are milliseconds. */
export type When =
  | { readonly kind: "cron"; readonly cron: string; readonly timeZone: string }
  | { readonly kind: "every"; readonly everyMs: number }
  | { readonly kind: "at"; readonly at: number }
  | { readonly kind: "after"; readonly afterMs: number };

/** What each run is. */
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

/** So late a due time is still on its way: what one host that vanishes costs at most. A later one was missed. */
export const LATE_MS = 10_000;

/** The limits of a schedule. */
export const scheduleLimits = {
  minEveryMs: 1_000,
  /** A day. */
  maxJitterMs: 86_400_000,
  catchUp: 1_000,
  /** Runs at one time. */
  running: 100,
  /** What the runs that start at once are together: bytes of MessagePack. */
  startBytes: 800_000,
  /** Due times that wait for the runs before them. */
  queued: 1_000,
  /** The last moment that a NATS server counts: in the year 2262. */
  lastTime: 9_223_372_036_854,
} as const;
