/** The statuses of a task, as users see them. The last three are terminal: they never change (I-1). */
export const taskStatuses = ["scheduled", "started", "retrying", "succeeded", "failed", "cancelled"] as const;

export type TaskStatus = (typeof taskStatuses)[number];
export type TerminalStatus = "succeeded" | "failed" | "cancelled";

/** Reads a status, in any case; anything else, also a newer version's, is `undefined` and not an error (B-10). */
export function parseTaskStatus(text: string): TaskStatus | undefined {
  const lower = text.toLowerCase();
  return taskStatuses.find((status) => status === lower);
}

/** Whether a status is terminal. An unknown one counts as live (M-13). */
export function isTerminal(status: string): status is TerminalStatus {
  return status === "succeeded" || status === "failed" || status === "cancelled";
}
