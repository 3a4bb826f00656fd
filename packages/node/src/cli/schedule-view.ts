import type { RunView, ScheduleView } from "@ergon/core";

import { cell, statusCell } from "./format.ts";
import type { Cell, Output } from "./output.ts";

/** So many due times are shown. */
export const SHOWN = 5;

/** Everything that is known of a schedule, a line for each. */
export function printSchedule(output: Output, view: ScheduleView): void {
  if (output.json) return output.value(view);
  const { counts, lastFailure } = view;
  const rows: (readonly [string, readonly string[]])[] = [
    ["id", [view.id]],
    ["status", [view.status]],
    ["when", [view.when]],
    ["what", [view.what]],
    ["overlap", [view.overlap]],
    ["next", view.next],
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

function runText({ id, startedAt }: RunView): string {
  return `${id}, since ${startedAt}`;
}

function nameCell(name: string): Cell {
  return { text: name.padEnd(12), paint: "dim" };
}
