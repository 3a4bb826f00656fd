import { formatDuration, type RunView, type ScheduleView } from "@ergon/core";

import { cell, statusCell } from "./format.ts";
import type { Cell, Output } from "./output.ts";

/** The number of due times in a view. */
export const SHOWN = 5;

/** Formats a schedule's view with a line for each fact. */
export function printSchedule(output: Output, view: ScheduleView): void {
  if (output.json) return output.value(view);
  const { counts, lastFailure, catchUp, timeZone } = view;
  const rows: (readonly [string, readonly string[]])[] = [
    ["id", [view.id]],
    ["status", [view.status]],
    ["when", [view.when]],
    ["what", [view.what]],
    ["payload", [`${view.payloadBytes} bytes`]],
    ["options", view.options === undefined ? [] : [JSON.stringify(view.options)]],
    ["start", view.start === undefined ? [] : [view.start]],
    ["end", view.end === undefined ? [] : [view.end]],
    ["jitter", view.jitterMs === 0 ? [] : [formatDuration(view.jitterMs)]],
    ["overlap", [view.overlap]],
    [
      "catch-up",
      [
        `${catchUp.limit}${catchUp.windowMs === undefined ? "" : `, none older than ${formatDuration(catchUp.windowMs)}`}`,
      ],
    ],
    ["ends after", view.runs === undefined ? [] : [`${view.runs} runs`]],
    ["next", view.next.map((due) => dueText(due, timeZone))],
    ["running", view.running.map(runText)],
    ["queued", view.queued],
    ["last", view.last === undefined ? [] : [runText(view.last)]],
    ["runs", [`${counts.started} by time, ${counts.triggered} triggered`]],
    ["ended", [`${counts.succeeded} succeeded, ${counts.failed} failed, ${counts.cancelled} cancelled`]],
    ["passed over", [`${counts.skipped} skipped, ${counts.missed} missed`]],
    ["failure", lastFailure === undefined ? [] : [`${lastFailure.run}: ${lastFailure.code}: ${lastFailure.message}`]],
    ["correlation", view.correlationId === undefined ? [] : [view.correlationId]],
    ["tags", view.tags === undefined ? [] : [view.tags.join(", ")]],
  ];
  for (const [name, lines] of rows)
    for (const [index, line] of lines.entries()) output.line(nameCell(index === 0 ? name : ""), line);
}

/** A row for each schedule. */
export function printSchedules(output: Output, views: readonly ScheduleView[]): void {
  if (output.json) return views.forEach((view) => output.value(view));
  output.table(
    ["id", "when", "what", "next", "last", "status", "overlap"],
    views.map((view) => [
      ...[view.id, view.when, view.what, view.next[0], view.last?.startedAt].map(cell),
      statusCell(view.status),
      cell(view.overlap),
    ]),
  );
}

/** Formats a due time, with the local time in the rule's time zone. */
function dueText(due: string, timeZone: string | undefined): string {
  if (timeZone === undefined || timeZone === "UTC") return due;
  // The Swedish locale writes times in the ISO format.
  const local = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" });
  return `${due} (${local.format(new Date(due))} ${timeZone})`;
}

function runText({ id, startedAt }: RunView): string {
  return `${id}, since ${startedAt}`;
}

function nameCell(name: string): Cell {
  return { text: name.padEnd(12), paint: "dim" };
}
