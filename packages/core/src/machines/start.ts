import { TASK } from "../base/built-in.ts";
import { toPlain } from "../base/plain.ts";
import { taskDefaults } from "../task/spec.ts";
import { parseTaskRequest } from "../wire/submit.ts";
import type { ActorTree } from "./tree.ts";

/** The options with which a durable actor starts a task. */
export interface TaskStart {
  /** The id of a task that has its own record. @defaultValue derived from the id of its parent */
  readonly id?: string | undefined;
  /** True if the task has its own record, instead of a place in the record of its parent. */
  readonly standalone: boolean;
  /** True if the parent receives each change, and not only the end. */
  readonly sync: boolean;
}

/** The options with which a durable actor starts an instance of a machine. */
export interface MachineStart {
  /** The instance's id. @defaultValue derived from the id of its parent */
  readonly id?: string | undefined;
  readonly machine: string;
  /** The version of the machine. @defaultValue the newest that is registered */
  readonly version?: string | undefined;
  readonly input: unknown;
  /** The milliseconds for which the record stays readable after the end. @defaultValue 72 h */
  readonly retentionMs?: number | undefined;
  /** True if the parent receives each change, and not only the end. */
  readonly sync: boolean;
}

/** Starts a task for a durable actor, and returns its number in the engine. Throws `InvalidError` with an issue for each fault. */
export function startTask(
  tree: ActorTree,
  self: unknown,
  request: object,
  { id, standalone, sync }: TaskStart,
): number {
  const { spec, delayMs } = parseTaskRequest(request);
  const task = delayMs > 0 ? { ...spec, notBefore: tree.now + delayMs } : spec;
  const key = tree.book(self);
  if (standalone) tree.ask({ type: "child", key, child: { id, machine: TASK, spec: task, retentionMs: 0, sync } });
  else tree.ask({ type: "task", key, spec: task });
  return key;
}

/** Starts an instance for a durable actor, and returns its number in the engine. Throws `InvalidError` (`NOT_SERIALISABLE`). */
export function startMachine(tree: ActorTree, self: unknown, { input, retentionMs, ...start }: MachineStart): number {
  const child = {
    ...start,
    input: toPlain(input, "input"),
    retentionMs: retentionMs ?? taskDefaults.retentionMs,
  };
  const key = tree.book(self);
  tree.ask({ type: "child", key, child });
  return key;
}
