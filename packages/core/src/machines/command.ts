import type { TaskSpec } from "../task/spec.ts";

/** What an actor of a tree asks of the engine in the course of a turn. */
export type Command =
  /** Runs a task embedded in the record; its end comes back to the actor that `key` names. */
  | { readonly type: "task"; readonly key: number; readonly spec: Omit<TaskSpec, "id"> }
  /** Starts a durable actor of its own. */
  | { readonly type: "child"; readonly key: number; readonly child: ChildSpec }
  /** The actor that `key` names has been stopped: what it stands for is not wanted any more. */
  | { readonly type: "stop"; readonly key: number; readonly reason: string }
  /** The task or the durable child that `key` names is to be cancelled. Its end is still heard. */
  | { readonly type: "cancel"; readonly key: number; readonly reason: string }
  /** An event for a durable child. */
  | { readonly type: "send"; readonly key: number; readonly event: StoredEvent }
  /** An event for the durable parent, or the news of its child. */
  | { readonly type: "parent"; readonly event: StoredEvent }
  /** A promise, a callback or an observable to be started in the node. */
  | { readonly type: "local"; readonly run: () => void }
  /** An event that the machine emitted. */
  | { readonly type: "emitted"; readonly event: StoredEvent };

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
