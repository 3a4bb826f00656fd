import { InvalidError, isErgonError, type Issue } from "../base/errors.ts";
import type { Headers } from "../ports/bus.ts";
import { H } from "../wire/headers.ts";
import { numberFields } from "../wire/number-fields.ts";
import type { TaskRequest } from "../wire/submit.ts";
import { parseTaskRequest } from "../wire/submit.ts";

/** A submit on the wire. */
export interface SubmitMessage {
  readonly driver: string;
  readonly id: string;
  readonly data: Uint8Array;
  readonly headers: Headers;
}

/** Checks a request, and turns it into payload and headers. Throws `InvalidError` with an issue for each fault. */
export function encodeSubmit(request: TaskRequest, newId: () => string): SubmitMessage {
  const { spec, delayMs } = parseTaskRequest(request);
  const id = spec.id ?? newId();
  const headers: Record<string, string> = { [H.id]: id };
  const put = (name: string, value: string | number | undefined): void => {
    if (value !== undefined) headers[name] = String(value);
  };
  put(H.contentType, spec.contentType);
  put(H.correlationId, spec.correlationId);
  put(H.resource, spec.resource);
  put(H.notBefore, spec.notBefore);
  put(H.arguments, spec.arguments === undefined ? undefined : JSON.stringify(spec.arguments));
  if (spec.tags !== undefined && spec.tags.length > 0) headers[H.tags] = spec.tags.join(",");
  if (delayMs > 0) headers[H.delay] = `${delayMs}ms`;
  const { options } = spec;
  if (options !== undefined) {
    const own = options as Readonly<Record<string, number | undefined>>;
    const policy = (options.retry ?? {}) as Readonly<Record<string, number | undefined>>;
    for (const { header, retry, target } of numberFields) put(header, (retry ? policy : own)[target]);
    const never = options.retry?.never;
    if (never !== undefined && never.length > 0) headers[H.retryNever] = never.join(",");
  }
  return { driver: spec.driver, id, data: spec.payload, headers };
}

/** A checked task of a batch, with an id and its payload as bytes, so that a repetition is identical. */
function normalizeTask(request: TaskRequest, newId: () => string): TaskRequest {
  const { spec } = parseTaskRequest(request);
  const { text: _text, base64: _base64, ...rest } = request;
  return { ...rest, id: spec.id ?? newId(), payload: spec.payload, contentType: spec.contentType };
}

/** The tasks of a batch, in a form that is safe to repeat. Throws `BATCH_REJECTED` with the faults of all tasks, such as `tasks[3].driver`. */
export function normalizeTasks(requests: readonly TaskRequest[], newId: () => string): TaskRequest[] {
  const issues: Issue[] = [];
  const tasks = requests.map((request, index) => {
    try {
      return normalizeTask(request, newId);
    } catch (error) {
      if (!isErgonError(error)) throw error;
      const faults: readonly Issue[] =
        error.issues.length > 0 ? error.issues : [{ field: "", code: error.code, message: error.message }];
      issues.push(
        ...faults.map((issue) => ({
          ...issue,
          field: `tasks[${index}]${issue.field === "" ? "" : "."}${issue.field}`,
        })),
      );
      return request;
    }
  });
  const first = issues[0];
  if (first === undefined) return tasks;
  const more = issues.length === 1 ? "" : ` (and ${issues.length - 1} more)`;
  throw new InvalidError("BATCH_REJECTED", `no task was stored; ${first.field}: ${first.message}${more}`, { issues });
}
