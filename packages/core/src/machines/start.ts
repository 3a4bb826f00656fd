import { TASK } from "../base/built-in.ts";
import { toPlain } from "../base/plain.ts";
import { taskDefaults } from "../task/spec.ts";
import { parseTaskRequest } from "../wire/submit.ts";
import type { ActorTree } from "./tree.ts";

/** How a durable actor starts a task. */
export interface TaskStart {
  /** The task's id, where it has a record of its own; derived from the id of its parent when absent. */
  readonly id?: string | undefined;
  /** Whether the task has a record of its own, instead of a place in the record of its parent. */
  readonly standalone: boolean;
  /** Whether the parent hears of each change, and not only of the end. */
  readonly sync: boolean;
}

/** How a durable actor starts an instance of a machine. */
export interface MachineStart {
  /** The instance's id; derived from the id of its parent when absent. */
  readonly id?: string | undefined;
  readonly machine: string;
  /** The newest version that is registered when absent. */
  readonly version?: string | undefined;
  readonly input: unknown;
  /** How long the record stays readable after the end. Default 72 h. */
  readonly retentionMs?: number | undefined;
  /** Whether the parent hears of each change, and not only of the end. */
  readonly sync: boolean;
}

/** Starts a task for a durable actor, and returns the number under which the engine knows it. Throws `InvalidError` with an issue for each fault. */
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

/** Starts an instance for a durable actor, and returns the number under which the engine knows it. Throws `InvalidError` (`NOT_SERIALISABLE`). */
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
