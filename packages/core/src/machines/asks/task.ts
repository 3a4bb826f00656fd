import type { TaskSpec } from "../../task/spec.ts";
import type { Ending } from "../command.ts";
import { forgetChild } from "../draft.ts";
import { machineLimits, type Answered } from "../machine-meta.ts";
import type { Ask, Heard } from "./ask.ts";

/** Runs a task embedded in the record; its end comes back to the actor that `key` names. */
export interface TaskCommand {
  readonly type: "task";
  readonly key: number;
  readonly spec: Omit<TaskSpec, "id">;
}

/** A host of embedded tasks. */
export interface TaskHost {
  /** Takes a task into the record of the instance. */
  embed(key: number, spec: Omit<TaskSpec, "id">): void;
  /** Takes an embedded task out of the record: nobody waits for it. */
  withdraw(key: number): void;
  /** Cancels an embedded task. Its end is still heard. */
  cancel(key: number, reason: string): void;
}

/** A task has ended, or could not be started; by an answer, where there is one. */
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
