import type { TaskSpec } from "../task/spec.ts";

/** An event as records hold it. */
export interface StoredEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A durable child is an instance of a machine, or a standalone task. */
export interface ChildSpec {
  /** The child's id. The engine derives it from the parent's id when it is absent. */
  readonly id?: string | undefined;
  readonly machine: string;
  /** The version of the child's machine. @defaultValue the newest */
  readonly version?: string | undefined;
  /** The input of the child's machine. */
  readonly input?: unknown;
  readonly correlationId?: string | undefined;
  /** The milliseconds for which the record of the child's instance stays readable after its end. */
  readonly retentionMs: number;
  /** The spec of a standalone task. */
  readonly spec?: Omit<TaskSpec, "id"> | undefined;
  /** True if the parent receives each change of the child. */
  readonly sync: boolean;
  /** The number of durable actors above the child, each the parent of the next. */
  readonly depth?: number | undefined;
}

/** The ending of an actor's task or durable child. */
export type Ending =
  | { readonly kind: "done"; readonly output: unknown }
  | { readonly kind: "error"; readonly error: unknown };
