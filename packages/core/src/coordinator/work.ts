import { durable, passOn, type Answers, type DriverLogic } from "../machines/logic.ts";
import { startMachine, startTask } from "../machines/start.ts";
import type { TaskRequest } from "../wire/submit.ts";

/** What a coordinator starts: everything in it that is durable. */
export type Work =
  | {
      readonly kind: "task";
      /** The id of a task with a record of its own. */
      readonly id?: string | undefined;
      readonly task: Omit<TaskRequest, "id">;
      readonly standalone: boolean;
    }
  | {
      readonly kind: "machine";
      readonly id?: string | undefined;
      readonly machine: string;
      readonly version?: string | undefined;
      readonly input: unknown;
    };

/** Has a piece of work cancelled. Its end is waited for. */
export const CANCEL_WORK = "ergon.work.cancel";

/** A piece of work as an actor: it ends as the task or the instance does that it stands for. Stopping the actor cancels the work. */
export const work: DriverLogic<Work, unknown> = workLogic(passOn);

/** The same, but the work goes on when its actor, or the whole coordinator, stops. */
export const detachedWork: DriverLogic<Work, unknown> = workLogic({ ...passOn, stopped: () => undefined });

function workLogic(answers: Answers): DriverLogic<Work, unknown> {
  return durable<Work, unknown>(
    "the work of a coordinator",
    (tree, self, input, sync) => {
      const asked = input as Work;
      const { id } = asked;
      if (asked.kind === "task") return startTask(tree, self, asked.task, { id, standalone: asked.standalone, sync });
      const { machine, version } = asked;
      return startMachine(tree, self, { id, machine, version, input: asked.input, sync });
    },
    {
      ...answers,
      sent: (tree, key, event) => {
        if (event.type === CANCEL_WORK) tree.ask({ type: "cancel", key, reason: String(event["reason"]) });
        else answers.sent(tree, key, event);
      },
    },
  );
}
