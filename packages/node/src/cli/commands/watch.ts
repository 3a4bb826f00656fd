import { isInstance, type MachineView, type TaskView } from "@ergon/core";
import type { Command } from "commander";

import { exitCodeOfTask } from "../ended.ts";
import { historyText, statusCell } from "../format.ts";
import { changeText } from "../instance-view.ts";
import type { Cell, Output } from "../output.ts";
import type { Cli } from "../session.ts";

export function watch(command: Command, cli: Cli): void {
  command
    .description(
      "Prints every transition of a task or an instance, past ones included, and its progress, until it has ended. --json prints the whole task or instance at each transition.",
    )
    .argument("<id>", "the task or instance")
    .action(
      cli.clientAction(async (session, client, id: string) => {
        const { output } = session;
        session.waitsFor = id;
        const printed = new Set<string>();
        let last: TaskView | MachineView | undefined;
        for await (const view of client.watch(id) as AsyncIterable<TaskView | MachineView>) {
          if (output.json) output.value(view);
          else printNews(output, view, printed);
          last = view;
        }
        return last === undefined ? undefined : exitCodeOfTask(last);
      }),
    );
}

function printNews(output: Output, view: TaskView | MachineView, printed: Set<string>): void {
  const news = (key: string, ...parts: readonly (string | Cell)[]): void => {
    if (printed.has(key)) return;
    printed.add(key);
    output.line(...parts);
  };
  if (isInstance(view)) {
    for (const entry of view.history)
      news(
        JSON.stringify(entry),
        { text: entry.at, paint: "dim" },
        { text: changeText(entry), paint: statusCell(entry.state).paint },
      );
    return;
  }
  for (const entry of view.history) {
    const { paint } = statusCell(entry.status);
    news(JSON.stringify(entry), { text: entry.at, paint: "dim" }, { text: historyText(entry), paint });
  }
  const progress = JSON.stringify(view.progress);
  if (progress !== undefined) news(`progress ${progress}`, `progress ${progress}`);
}
