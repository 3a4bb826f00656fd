import { isErgonError } from "../base/errors.ts";
import type { Failure } from "../task/task-context.ts";

/** Converts the value that a machine threw into the failure of its instance. */
export function failureOf(error: unknown): Failure {
  const { code, retryable } = (typeof error === "object" && error !== null ? error : {}) as Partial<Failure>;
  const message = isErgonError(error) || error instanceof Error ? error.message : textOf(error);
  return {
    code: typeof code === "string" ? code.slice(0, 64) : "MACHINE_FAILED",
    message: message.slice(0, 1_024),
    retryable: retryable === true,
  };
}

function textOf(error: unknown): string {
  if (typeof error === "object" && error !== null && typeof (error as { message?: unknown }).message === "string")
    return (error as { message: string }).message;
  return typeof error === "string" ? error : (JSON.stringify(error) ?? String(error));
}
