import type { TaskSpec } from "../../task/spec.ts";
import type { Ending } from "../command.ts";
import { forgetChild } from "../draft.ts";
import { machineLimits, type Answered } from "../machine-meta.ts";
import type { Ask, Heard } from "./ask.ts";

/** Runs a task that is embedded in the record. The actor with the number `key` receives its end. */
export interface TaskCommand {
  readonly type: "task";
  readonly key: number;
  readonly spec: Omit<TaskSpec, "id">;
}

/** A host of embedded tasks. */
export interface TaskHost {
  /** Adds a task to the instance's record. */
  embed(key: number, spec: Omit<TaskSpec, "id">): void;
  /** Removes a task that is no longer needed from the instance's record. */
  withdraw(key: number): void;
  /** Cancels an embedded task. The actor still receives its end. */
  cancel(key: number, reason: string): void;
}

/** The end of a task, or the failure to start it. `answer` is present when an answer ended the task. */
export interface TaskEnded {
  readonly type: "ergon.task";
  readonly key: number;
  readonly ending: Ending;
  readonly answered?: Answered | undefined;
}

export const task: Ask<TaskCommand, TaskHost> = {
  type: "task",
  prepare: (host, { key, spec }) => host.embed(key, spec),
};

export const taskEnded: Heard<TaskEnded> = {
  type: "ergon.task",
  hear({ at, draft, actors }, { key, ending, answered }) {
    forgetChild(draft, key);
    if (answered !== undefined) draft.answered = [...(draft.answered ?? []), answered].slice(-machineLimits.answered);
    actors.ended(at, key, ending);
  },
};
