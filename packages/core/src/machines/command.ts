import type { TaskSpec } from "../task/spec.ts";

/** An event in the form in which records hold it. */
export interface StoredEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A durable child: an instance of a machine, or a task that stands alone. */
export interface ChildSpec {
  /** Absent: derived from the parent's id. */
  readonly id?: string | undefined;
  readonly machine: string;
  /** Of a machine: its version; absent takes the newest. */
  readonly version?: string | undefined;
  /** Of a machine. */
  readonly input?: unknown;
  readonly correlationId?: string | undefined;
  /** Of a machine: how long its record stays readable after its end. */
  readonly retentionMs: number;
  /** Of a task. */
  readonly spec?: Omit<TaskSpec, "id"> | undefined;
  /** Whether each of its changes is told. */
  readonly sync: boolean;
  /** How many durable actors are above it, each the parent of the next. */
  readonly depth?: number | undefined;
}

/** How what an actor asked for has ended. */
export type Ending =
  | { readonly kind: "done"; readonly output: unknown }
  | { readonly kind: "error"; readonly error: unknown };
