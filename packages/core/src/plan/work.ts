import { PLAN } from "../base/built-in.ts";
import { durable, passOn, type DriverLogic } from "../machines/logic.ts";
import { startMachine, startTask } from "../machines/start.ts";
import type { TaskRequest } from "../wire/submit.ts";
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
    if (asked.kind === "task") return startTask(tree, self, asked.task, { standalone: asked.standalone, sync });
    const machine = asked.kind === "plan" ? PLAN : asked.machine;
    return startMachine(tree, self, { machine, version: asked.version, input: asked.input, sync });
  },
  {
    ...passOn,
    sent: (tree, key, event) => {
      if (event.type === STOP_STEP) tree.ask({ type: "cancel", key, reason: String(event["reason"]) });
      else passOn.sent(tree, key, event);
    },
  },
);
