import { isErgonError, type ErrorKind } from "@ergon/core";

type Ending =
  | "done"
  | "failed"
  | "usage"
  | "notFound"
  | "unreachable"
  | "refused"
  | "timeout"
  | "internal"
  | "interrupted";

/** What the process ends with. `ergon --help` and docs/operations.md print this table; a test compares them. */
export const exitCodes: Readonly<Record<Ending, { readonly code: number; readonly summary: string }>> = {
  done: { code: 0, summary: "done; of a task: it has succeeded" },
  failed: { code: 1, summary: "the task has failed or was cancelled; of doctor: something must be mended" },
  usage: { code: 2, summary: "wrong arguments, options, configuration or input; nothing was done" },
  notFound: { code: 3, summary: "there is no such task" },
  unreachable: { code: 4, summary: "NATS can't be reached or refuses us, or no node answers; tasks go on" },
  refused: { code: 5, summary: "the task's state does not allow it, such as the cancel of a task that has ended" },
  timeout: { code: 6, summary: "the task had not ended when the time to wait was up; it goes on" },
  internal: { code: 70, summary: "a fault of Ergon itself" },
  interrupted: { code: 130, summary: "interrupted (Ctrl-C); tasks go on" },
};

const ofKind: Readonly<Record<ErrorKind, Ending>> = {
  invalid: "usage",
  "not-found": "notFound",
  conflict: "refused",
  stale: "refused",
  unavailable: "unreachable",
  retryable: "failed",
  terminal: "failed",
};

/** The exit code that says why. */
export function exitCodeOf(error: unknown): number {
  if (!isErgonError(error)) return exitCodes.internal.code;
  if (error.code === "NOT_PERMITTED" || error.code === "SERVER_UNSUITABLE") return exitCodes.unreachable.code;
  if (error.code === "INTERNAL") return exitCodes.internal.code;
  return exitCodes[ofKind[error.kind]].code;
}
