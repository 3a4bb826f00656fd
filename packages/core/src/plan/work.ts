import { durable, passOn, type DriverLogic } from "../machines/logic.ts";
import { toPlain } from "../machines/plain.ts";
import { taskDefaults } from "../task/spec.ts";
import { parseTaskRequest, type TaskRequest } from "../wire/submit.ts";
import type { PlanContinuation } from "./definition.ts";

/** What a plan starts: everything in it that is durable. */
export type Work =
  | { readonly kind: "task"; readonly task: TaskRequest; readonly standalone: boolean }
  | {
      readonly kind: "machine";
      readonly machine: string;
      readonly version?: string | undefined;
      readonly input: unknown;
    }
  | { readonly kind: "plan"; readonly version: string; readonly input: PlanContinuation };

/** Has the task or the machine of a step cancelled. Its end is waited for. */
export const STOP_STEP = "ergon.plan.stop";

/** A step of a plan as an actor: it ends as the task, the machine or the plan does that it stands for. */
export const work: DriverLogic<Work, unknown> = durable<Work, unknown>(
  "a step of a plan",
  (tree, self, input, sync) => {
    const asked = input as Work;
    if (asked.kind === "task") {
      const { spec, delayMs } = parseTaskRequest(asked.task);
      const task = delayMs > 0 ? { ...spec, notBefore: tree.now + delayMs } : spec;
      const key = tree.book(self);
      if (asked.standalone)
        tree.ask({ type: "child", key, child: { machine: "task", spec: task, retentionMs: 0, sync } });
      else tree.ask({ type: "task", key, spec: task });
      return key;
    }
    const { kind, version } = asked;
    const machine = kind === "plan" ? "plan" : asked.machine;
    const key = tree.book(self);
    const child = {
      machine,
      version,
      input: toPlain(asked.input, "input"),
      retentionMs: taskDefaults.retentionMs,
      sync,
    };
    tree.ask({ type: "child", key, child });
    return key;
  },
  {
    ...passOn,
    sent: (tree, key, event) => {
      if (event.type === STOP_STEP) tree.ask({ type: "cancel", key, reason: String(event["reason"]) });
      else passOn.sent(tree, key, event);
    },
  },
);
