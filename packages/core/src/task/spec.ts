import { DAY, HOUR, MINUTE, SECOND } from "../base/duration.ts";
import type { RetryPolicy } from "./retry-policy.ts";

/** The complete options of a task, with all defaults filled in. */
export interface TaskOptions {
  /** The priority, from 0 to 9. The waiting task of a driver with the highest priority goes first; equal priorities go in the order of arrival. */
  readonly priority: number;
  /** The longest wait for an agent, each time the task waits for one. */
  readonly queueTimeoutMs: number;
  /** The longest run of one attempt (Boltzmann's complete-by). */
  readonly attemptTimeoutMs: number;
  /** The longest silence of a running attempt. The value 0 requests no heartbeats. */
  readonly heartbeatTimeoutMs: number;
  /** The longest life of the task, from its submit or its `notBefore` to its end, including waits for agents and retries. */
  readonly totalTimeoutMs: number;
  /** The longest time that an agent may take to stop after a cancel. The task is cancelled without the agent after it. */
  readonly cancelGraceMs: number;
  /** The most attempts that may be lost with their agent; lost attempts do not count as failed. */
  readonly maxLost: number;
  /** The time for which the record stays readable after the end. */
  readonly retentionMs: number;
  readonly retry: RetryPolicy;
}

/** The defaults of every task option, in one place. They belong to version 1 of the record. */
export const taskDefaults: TaskOptions = {
  priority: 5,
  queueTimeoutMs: DAY,
  attemptTimeoutMs: MINUTE,
  heartbeatTimeoutMs: 0,
  totalTimeoutMs: 7 * DAY,
  cancelGraceMs: 10 * SECOND,
  maxLost: 5,
  retentionMs: 72 * HOUR,
  retry: { maxAttempts: 3, initialMs: 500, factor: 2, maxMs: MINUTE, jitter: 0.5, never: [] },
};

/** The limits of every submit. A larger input is refused by the name of its field. */
export const taskLimits = {
  tags: 16,
  tagLength: 64,
  arguments: 64,
  argumentsBytes: 16_384,
  resourceLength: 2_048,
  reasonLength: 1_024,
  contentTypeLength: 256,
  historyEntries: 32,
  neverCodes: 32,
  batchTasks: 10_000,
  minDurationMs: 1,
  /** The limit is 400 days. */
  maxDurationMs: 34_560_000_000,
} as const;

type Sparse<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** The options in a record, which holds only those that differ from {@link taskDefaults}. */
export type SparseTaskOptions = Sparse<Omit<TaskOptions, "retry">> & { readonly retry?: Sparse<RetryPolicy> };

/** A checked request for a task: the input of the task machine. */
export interface TaskSpec {
  readonly id: string;
  readonly driver: string;
  readonly payload: Uint8Array;
  readonly contentType?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly resource?: string | undefined;
  readonly arguments?: Readonly<Record<string, string>> | undefined;
  readonly tags?: readonly string[] | undefined;
  /** The time before which no attempt begins, in epoch milliseconds. */
  readonly notBefore?: number | undefined;
  /** The task that this one repeats (`retry`). */
  readonly origin?: string | undefined;
  /** The instance that started the task, and hears of its end. */
  readonly parent?: { readonly id: string; readonly key: number } | undefined;
  readonly options?: SparseTaskOptions | undefined;
}

/** One option, with its default filled in. */
export function taskOption<K extends Exclude<keyof TaskOptions, "retry">>(
  spec: { readonly options?: SparseTaskOptions | undefined },
  name: K,
): TaskOptions[K] {
  const own = spec.options?.[name] as TaskOptions[K] | undefined;
  return own ?? taskDefaults[name];
}

/** One field of the retry policy, with its default filled in. */
export function retryOption<K extends keyof RetryPolicy>(
  spec: { readonly options?: SparseTaskOptions | undefined },
  name: K,
): RetryPolicy[K] {
  const own = spec.options?.retry?.[name] as RetryPolicy[K] | undefined;
  return own ?? taskDefaults.retry[name];
}

/** The complete retry policy of a task. */
export function retryPolicyOf(spec: { readonly options?: SparseTaskOptions | undefined }): RetryPolicy {
  return { ...taskDefaults.retry, ...spec.options?.retry } as RetryPolicy;
}
