import type { TaskView } from "../views/task-view.ts";
import type { Client, TaskHandle } from "./api.ts";

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
