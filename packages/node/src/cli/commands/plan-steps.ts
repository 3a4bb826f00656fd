import { describePlan, type MachineView, type PlanView, type StepView } from "@ergon/core";

import { cell, statusCell } from "../format.ts";
import type { Output } from "../output.ts";

/** Formats the state of a plan, and a row for each of its steps. */
export function printPlan(output: Output, view: MachineView): void {
  if (output.json) return output.value(view);
  const { steps, counts } = describePlan(view);
  const reason = view.failure === undefined ? view.reason : `${view.failure.code}: ${view.failure.message}`;
  output.line(view.id, statusCell(view.status), countsText(counts), ...(reason === undefined ? [] : [reason]));
  output.table(
    ["step", "status", "what", "payload", "where", "result"],
    steps.map((step) => [
      cell(step.id),
      statusCell(step.status),
      cell(whatText(step)),
      cell(step.payloadBytes === undefined ? "" : `${step.payloadBytes} bytes`),
      cell(whereText(step)),
      cell(resultText(step)),
    ]),
  );
}

/** The order of the changes in one view, in which the effects of a step follow the step. */
const causality: readonly StepView["status"][] = [
  "waiting",
  "succeeded",
  "failed",
  "skipped",
  "cancelled",
  "compensated",
  "compensation-failed",
  "compensating",
  "running",
];

/** Returns a line for each step that has changed since the last view. */
export function newsOfSteps(): (view: MachineView) => string[] {
  const told = new Map<string, string>();
  return (view) =>
    describePlan(view)
      .steps.toSorted((a, b) => causality.indexOf(a.status) - causality.indexOf(b.status))
      .flatMap((step) => {
        const line = [step.status, whereText(step), step.error === undefined ? "" : resultText(step)]
          .filter((part) => part !== "")
          .join(", ");
        const before = told.get(step.id) ?? "waiting";
        told.set(step.id, line);
        return line === before ? [] : [`${step.id}: ${line}`];
      });
}

function countsText(counts: PlanView["counts"]): string {
  return Object.entries(counts)
    .map(([status, count]) => `${count} ${status}`)
    .join(", ");
}

function whatText({ driver, machine, steps }: StepView): string {
  if (steps !== undefined) return `${steps} steps`;
  return driver ?? machine ?? "";
}

function whereText({ task, child }: StepView): string {
  if (task !== undefined)
    return [task.attempt > 1 ? `attempt ${task.attempt}` : "", task.reason ?? ""]
      .filter((part) => part !== "")
      .join(", ");
  return child ?? "";
}

function resultText({ error, output, outputBytes }: StepView): string {
  if (error !== undefined) return `${error.code}: ${error.message}`;
  if (output !== undefined) return JSON.stringify(output);
  return outputBytes === undefined ? "" : `${outputBytes} bytes`;
}
