import { formatDuration, isInstance, type ChildView, type MachineView, type TaskView } from "@ergon/core";

import { statusCell } from "./format.ts";
import type { Cell, Output } from "./output.ts";

/** Formats an instance's view with a line for each fact. */
export function printInstance(output: Output, view: MachineView): void {
  if (output.json) return output.value(view);
  const rows: (readonly [string, string | Cell | undefined])[] = [
    ["id", view.id],
    ["machine", `${view.machine}, version ${view.version}`],
    ["status", statusCell(view.status)],
    ["state", view.state],
    ["state tags", listText(view.stateTags)],
    ["reason", view.reason],
    ["context", jsonText(view.context)],
    ["output", jsonText(view.output)],
    ["failure", view.failure === undefined ? undefined : `${view.failure.code}: ${view.failure.message}`],
    ["correlation", view.correlationId],
    ["tags", listText(view.tags ?? [])],
    ["parent", view.parent],
    ["origin", view.origin],
    ["started", view.startedAt],
    ["changed", view.updatedAt],
    ["next timer", view.nextTimerAt],
    ["ended", view.endedAt],
    ["took", view.durationMs === undefined ? undefined : formatDuration(view.durationMs)],
  ];
  for (const [name, value] of rows) if (value !== undefined) output.line(nameCell(name), value);
  for (const [index, child] of view.children.entries())
    output.line(nameCell(index === 0 ? "children" : ""), child.id, childText(child));
  for (const [index, entry] of view.history.entries())
    output.line(nameCell(index === 0 ? "history" : ""), entry.at, changeText(entry));
}

/** Formats one line of an instance's history, without its time. */
export function changeText({ state, reason }: { readonly state: string; readonly reason?: string }): string {
  return reason === undefined ? state : `${state}: ${reason}`;
}

/** Returns an instance's state, or its status after its end, in a word. */
export function standing({ status, state }: MachineView): string {
  return status === "running" ? state : status;
}

/** Does the same for a task or an instance. It returns the status of a task. */
export function standingOf(view: TaskView | MachineView): string {
  return isInstance(view) ? standing(view) : view.status;
}

function childText({ machine, driver, status, attempt, reason }: ChildView): string {
  const what = driver === undefined ? machine : `task of ${driver}`;
  const stands = status === undefined ? "" : ` ${status}${attempt === undefined ? "" : `, attempt ${attempt}`}`;
  return `${what}${stands}${reason === undefined ? "" : `: ${reason}`}`;
}

function jsonText(value: unknown): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

function listText(items: readonly string[]): string | undefined {
  return items.length === 0 ? undefined : items.join(", ");
}

function nameCell(name: string): Cell {
  return { text: name.padEnd(12), paint: "dim" };
}
