import { formatDuration, type TaskView } from "@ergon/core";
import { type Content } from "@ergon/core/engine";

import type { Cell, Output, Paint } from "./output.ts";

const statusPaint: Readonly<Record<string, Paint>> = {
  scheduled: "cyan",
  started: "bold",
  retrying: "yellow",
  succeeded: "green",
  failed: "red",
  cancelled: "dim",
};

export function statusCell(status: string): Cell {
  return { text: status, paint: statusPaint[status] };
}

export const cell = (text: string | number | undefined): Cell => ({ text: text === undefined ? "" : String(text) });

/** Formats an age for people. */
export function age(iso: string, now: number): string {
  return formatDuration(Math.max(0, now - Date.parse(iso)));
}

function contentText(content: Content): string {
  if ("json" in content) return JSON.stringify(content.json);
  return "text" in content ? content.text : `${content.base64} (base64)`;
}

/** The work for which an agent's stop waits. */
export function runningText(running: number, drainMs: number): string | undefined {
  if (running === 0) return undefined;
  return `${running === 1 ? "1 attempt" : `${running} attempts`} to end, ${formatDuration(drainMs)} at most`;
}

/** Formats a task's view with a line for each fact. */
export function printTask(output: Output, view: TaskView): void {
  if (output.json) return output.value(view);
  const rows: (readonly [string, string | Cell | undefined])[] = [
    ["id", view.id],
    ["status", statusCell(view.status)],
    ["reason", view.reason],
    ["driver", view.driver],
    ["agent", view.agent],
    ["attempt", `${view.attempt} (${view.failures} failed, ${view.lost} lost)`],
    ["correlation", view.correlationId],
    ["resource", view.resource],
    ["tags", view.tags?.join(", ")],
    ["arguments", view.arguments === undefined ? undefined : JSON.stringify(view.arguments)],
    ["priority", view.priority === undefined ? undefined : String(view.priority)],
    ["payload", `${view.payloadBytes} bytes${view.contentType === undefined ? "" : `, ${view.contentType}`}`],
    ["scheduled", view.scheduledAt],
    ["not before", view.notBefore],
    ["started", view.startedAt],
    ["deadline", view.deadline],
    ["ended", view.endedAt],
    ["took", view.durationMs === undefined ? undefined : formatDuration(view.durationMs)],
    ["progress", view.progress === undefined ? undefined : JSON.stringify(view.progress)],
    ["response", view.response === undefined ? undefined : contentText(view.response)],
    ["failure", view.failure === undefined ? undefined : `${view.failure.code}: ${view.failure.message}`],
    ["origin", view.origin],
  ];
  for (const [name, value] of rows) if (value !== undefined) output.line(nameCell(name), value);
  for (const [index, entry] of view.history.entries()) {
    output.line(nameCell(index === 0 ? "history" : ""), entry.at, historyText(entry));
  }
}

function nameCell(name: string): Cell {
  return { text: name.padEnd(12), paint: "dim" };
}

/** One line of a task's history, without its time. */
export function historyText(entry: {
  readonly status: string;
  readonly attempt: number;
  readonly agent?: string;
  readonly reason?: string;
}): string {
  const attempt = entry.attempt === 0 ? "" : ` attempt ${entry.attempt}`;
  return `${entry.status}${attempt}${entry.agent === undefined ? "" : ` by ${entry.agent}`}${entry.reason === undefined ? "" : `: ${entry.reason}`}`;
}
