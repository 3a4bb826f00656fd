import { InvalidError, isErgonError, messageOf, type Issue } from "@ergon/core";

/** Checks the frame of a batch. Its tasks are checked one by one. */
export function requireBatch(body: unknown): { tasks: unknown[]; correlationId?: string; requireAgents?: boolean } {
  const { tasks, correlationId, requireAgents, ...unknown } = (
    typeof body === "object" && body !== null ? body : {}
  ) as Record<string, unknown>;
  if (!Array.isArray(tasks)) throw new InvalidError("INVALID_BODY", "tasks: must be a list of tasks");
  const issues = Object.keys(unknown).map((field): Issue => ({
    field,
    code: "UNKNOWN_OPTION",
    message: `${field}: no such option of a batch`,
  }));
  const validId =
    correlationId === undefined || (typeof correlationId === "string" && /^[^\p{Cc}]{1,128}$/u.test(correlationId));
  if (!validId)
    issues.push({
      field: "correlationId",
      code: "INVALID_OPTION",
      message: "correlationId: must be a text of 1 to 128 characters, without control characters",
    });
  if (requireAgents !== undefined && typeof requireAgents !== "boolean")
    issues.push({ field: "requireAgents", code: "INVALID_OPTION", message: "requireAgents: must be true or false" });
  if (issues.length > 0) throw rejected(issues);
  return {
    tasks: tasks as unknown[],
    ...(correlationId === undefined ? {} : { correlationId: correlationId as string }),
    ...(requireAgents === true ? { requireAgents } : {}),
  };
}

/** Returns the ids of the tasks in their order, or `undefined` if a task has none or the value is not a batch. */
export function idsOf(body: unknown): readonly string[] | undefined {
  const { tasks } = (typeof body === "object" && body !== null ? body : {}) as { tasks?: unknown };
  if (!Array.isArray(tasks) || tasks.length === 0) return undefined;
  const ids = tasks.map((task: unknown) => (task as { id?: unknown } | null)?.id);
  return ids.every((id) => typeof id === "string") ? ids : undefined;
}

/** Lists the drivers of the tasks that name one. */
export function driversOf(tasks: readonly unknown[]): readonly string[] {
  return tasks
    .map((task) => (task as { driver?: unknown } | null)?.driver)
    .filter((driver) => typeof driver === "string");
}

/** The refusal of a batch, with the fault of each of its tasks. */
export function rejected(issues: readonly Issue[]): InvalidError {
  const more = issues.length === 1 ? "" : ` (and ${issues.length - 1} more)`;
  return new InvalidError("BATCH_REJECTED", `nothing was stored: ${issues[0]?.message ?? ""}${more}`, { issues });
}

/** The faults of the task at `index` in a batch. */
export function issuesOf(error: unknown, index: number): Issue[] {
  if (!isErgonError(error)) return [{ field: `tasks[${index}]`, code: "INTERNAL", message: messageOf(error) }];
  const issues = error.issues.length === 0 ? [{ field: "", code: error.code, message: error.message }] : error.issues;
  return issues.map(({ field, code, message }) => ({
    field: field === "" ? `tasks[${index}]` : `tasks[${index}].${field}`,
    code,
    message: `tasks[${index}].${message}`,
  }));
}
