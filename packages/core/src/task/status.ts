/** The statuses of a task, as users see them. The last three are terminal and never change (I-1). */
export const taskStatuses = ["scheduled", "started", "retrying", "succeeded", "failed", "cancelled"] as const;

export type TaskStatus = (typeof taskStatuses)[number];
export type TerminalStatus = "succeeded" | "failed" | "cancelled";

/** Returns true if a status is terminal. An unknown status counts as live (M-13). */
export function isTerminal(status: string): status is TerminalStatus {
  return status === "succeeded" || status === "failed" || status === "cancelled";
}
