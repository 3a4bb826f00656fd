import { taskDefaults, taskLimits } from "../task/spec.ts";
import { H } from "./headers.ts";
import { duration, plainNumber, type Faults } from "./option-checks.ts";

type Kind = "duration" | "integer" | "number";

/** A numeric option of a task. Its name is `path` in a request, and `header` on a submit. */
export interface NumberField {
  readonly path: string;
  readonly header: string;
  readonly kind: Kind;
  readonly min: number;
  readonly max: number;
  /** The place of the value in the sparse options, and its default there. */
  readonly target: string;
  readonly retry: boolean;
  readonly fallback: number;
}

const { minDurationMs: SHORTEST, maxDurationMs: LONGEST } = taskLimits;
const own = (
  path: string,
  header: string,
  kind: Kind,
  min: number,
  max: number,
  target: Exclude<keyof typeof taskDefaults, "retry">,
): NumberField => ({
  path,
  header,
  kind,
  min,
  max,
  target,
  retry: false,
  fallback: taskDefaults[target],
});
const retry = (
  path: string,
  header: string,
  kind: Kind,
  min: number,
  max: number,
  target: Exclude<keyof typeof taskDefaults.retry, "never">,
): NumberField => ({
  path: `retry.${path}`,
  header,
  kind,
  min,
  max,
  target,
  retry: true,
  fallback: taskDefaults.retry[target],
});

/** Every numeric option with its two names and its limits. docs/protocol.md prints this table, and a test compares both. */
export const numberFields: readonly NumberField[] = [
  own("priority", H.priority, "integer", 0, 9, "priority"),
  own("queueTimeout", H.queueTimeout, "duration", SHORTEST, LONGEST, "queueTimeoutMs"),
  own("attemptTimeout", H.attemptTimeout, "duration", SHORTEST, LONGEST, "attemptTimeoutMs"),
  own("heartbeatTimeout", H.heartbeatTimeout, "duration", 0, LONGEST, "heartbeatTimeoutMs"),
  own("totalTimeout", H.totalTimeout, "duration", SHORTEST, LONGEST, "totalTimeoutMs"),
  own("cancelGrace", H.cancelGrace, "duration", 0, LONGEST, "cancelGraceMs"),
  own("retention", H.retention, "duration", 1_000, LONGEST, "retentionMs"),
  own("maxLost", H.maxLost, "integer", 0, 1_000, "maxLost"),
  retry("maxAttempts", H.maxAttempts, "integer", 1, 1_000, "maxAttempts"),
  retry("initial", H.retryInitial, "duration", 0, LONGEST, "initialMs"),
  retry("factor", H.retryFactor, "number", 1, 100, "factor"),
  retry("max", H.retryMax, "duration", 0, LONGEST, "maxMs"),
  retry("jitter", H.retryJitter, "number", 0, 1, "jitter"),
];

/** Adds a number to the sparse options. It omits a number that equals the default. */
export function takeNumber(
  field: NumberField,
  name: string,
  value: unknown,
  into: Record<string, number>,
  faults: Faults,
): void {
  const number =
    field.kind === "duration"
      ? duration(name, value, field.min, field.max, faults)
      : plainNumber(name, value, { whole: field.kind === "integer", min: field.min, max: field.max }, faults);
  if (number !== undefined && number !== field.fallback) into[field.target] = number;
}
