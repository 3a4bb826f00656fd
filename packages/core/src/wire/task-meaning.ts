import { taskDefaults } from "../task/spec.ts";
import { parseTaskRequest, type TaskRequest } from "./submit.ts";

/**
 * Returns the meaning of a task request, independent of its spelling. The meaning has durations as numbers, all defaults filled in, and the payload
 * as its value or its bytes. Throws `InvalidError` with an issue for each fault.
 */
export function taskMeaning(request: Omit<TaskRequest, "id">): unknown {
  const { spec, delayMs } = parseTaskRequest(request);
  const { payload: bytes, options, ...rest } = spec;
  const { payload } = request as { readonly payload?: unknown };
  const retry = { ...taskDefaults.retry, ...options?.retry };
  return {
    ...rest,
    delayMs,
    payload: payload === undefined || payload instanceof Uint8Array ? bytes : { value: payload },
    options: { ...taskDefaults, ...options, retry },
  };
}
