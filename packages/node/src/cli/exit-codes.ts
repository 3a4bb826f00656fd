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

/** The exit codes of the process. `ergon --help` and docs/operations.md print this table, and a test compares them. */
export const exitCodes: Readonly<Record<Ending, { readonly code: number; readonly summary: string }>> = {
  done: { code: 0, summary: "success; a task has succeeded" },
  failed: { code: 1, summary: "the task has failed or was cancelled; doctor found something to fix" },
  usage: { code: 2, summary: "the arguments, options, configuration or input are wrong; Ergon did nothing" },
  notFound: { code: 3, summary: "no task, instance or machine has this name or id" },
  unreachable: {
    code: 4,
    summary: "NATS is unreachable or refuses the connection, or no node answers; tasks continue",
  },
  refused: { code: 5, summary: "the task's state does not allow the request, such as a cancel after its end" },
  timeout: { code: 6, summary: "the wait's time was over before the task or instance ended; it continues" },
  internal: { code: 70, summary: "Ergon itself has a fault" },
  interrupted: { code: 130, summary: "interrupted by Ctrl-C; tasks continue" },
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

/** Returns the exit code for an error. */
export function exitCodeOf(error: unknown): number {
  if (!isErgonError(error)) return exitCodes.internal.code;
  if (error.code === "NOT_PERMITTED" || error.code === "SERVER_UNSUITABLE") return exitCodes.unreachable.code;
  if (error.code === "INTERNAL") return exitCodes.internal.code;
  return exitCodes[ofKind[error.kind]].code;
}
