import { durable, passOn, type Answers, type DriverLogic } from "../machines/logic.ts";
import { startMachine, startTask } from "../machines/start.ts";
import type { TaskRequest } from "../wire/submit.ts";

/** The durable work that a coordinator can start. */
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

/** The type of the event that cancels a piece of work. The actor still reports the end of the work. */
export const CANCEL_WORK = "ergon.work.cancel";

/** A piece of work as an actor. The actor ends as its task or its instance ends; stopping the actor cancels the work. */
export const work: DriverLogic<Work, unknown> = workLogic(passOn);

/** A piece of work that goes on when its actor or its coordinator stops. */
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
