import type { TaskView } from "../views/task-view.ts";
import type { Client, DecisionOptions, RetryOptions } from "./client.ts";
import type { TaskResponse } from "./task-reply.ts";
import type { WaitOptions } from "./wait.ts";
import type { WatchOptions } from "./watch.ts";

/** A handle of one submitted task. {@link Client} has the same methods by id. */
export interface TaskHandle {
  readonly id: string;
  /** The task at the moment of the submit, or of its repetition. */
  readonly view: TaskView;
  get(): Promise<TaskView>;
  wait(options?: WaitOptions): Promise<TaskView>;
  response(options?: WaitOptions): Promise<TaskResponse>;
  watch(options?: WatchOptions): AsyncIterable<TaskView>;
  cancel(options?: DecisionOptions): Promise<TaskView>;
  retry(options?: RetryOptions): Promise<TaskHandle>;
  end(options?: DecisionOptions): Promise<TaskView>;
}

export function createTaskHandle(client: Client, view: TaskView): TaskHandle {
  const { id } = view;
  return {
    id,
    view,
    get: () => client.get(id),
    wait: (options) => client.wait(id, options),
    response: (options) => client.response(id, options),
    watch: (options) => client.watch(id, options),
    cancel: (options) => client.cancel(id, options),
    retry: (options) => client.retry(id, options),
    end: (options) => client.end(id, options),
  };
}
